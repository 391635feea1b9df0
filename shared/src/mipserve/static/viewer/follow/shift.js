// @ts-check
import { PITCH_MM } from "../pixels.js";
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").Point} Point */
/** @typedef {Pick<State, "intensity" | "width" | "height" | "spacing">} Image */

export const AIR = 8; // of 255: what is hotter is body
const BIN_MM = 4;

/** @type {WeakMap<Uint8Array, ReturnType<typeof profileOf>>} of images seen before: the mask changes more often than they */
const profiles = new WeakMap();

/** @param {Pick<Image, "spacing">} image @returns {[number, number]} millimetres of a row and of a column */
export const spacingOf = ({ spacing }) => spacing ?? [PITCH_MM, PITCH_MM];

/**
 * How far a body has moved from one image to the other. Upwards and downwards: where the widths of both bodies, row by
 * row, differ least, over at least half of the shorter image; so one may show more of the legs. Sideways: from the middle
 * of one body to that of the other.
 *
 * @param {Image} before
 * @param {Image} after
 * @returns {Point} millimetres, to be added to places of the first
 */
export function bodyShift(before, after) {
  const [first, second] = [before, after].map((image) => {
    const known = profiles.get(image.intensity) ?? profileOf(image);
    profiles.set(image.intensity, known);
    return known;
  });
  return { x: second.middle - first.middle, y: BIN_MM * rowShift(first.widths, second.widths) };
}

/**
 * @param {Image} image
 * @returns {{widths: number[], middle: number}} the body's width in every 4 mm from above, and its middle column, in mm
 */
function profileOf({ intensity, width, height, spacing }) {
  const [dy, dx] = spacingOf({ spacing }), bins = Math.max(1, Math.ceil((height * dy) / BIN_MM));
  const widths = new Array(bins).fill(0), rows = new Array(bins).fill(0);
  let [columns, pixels] = [0, 0];
  for (let y = 0; y < height; y++) {
    let inside = 0;
    for (let x = 0; x < width; x++) {
      if (intensity[y * width + x] <= AIR) continue;
      inside += 1;
      columns += x + 0.5;
    }
    const bin = Math.min(bins - 1, Math.floor(((y + 0.5) * dy) / BIN_MM));
    widths[bin] += inside * dx;
    rows[bin] += 1;
    pixels += inside;
  }
  const middle = pixels > 0 ? (dx * columns) / pixels : (dx * width) / 2;
  return { widths: widths.map((sum, bin) => (rows[bin] > 0 ? sum / rows[bin] : 0)), middle };
}

/**
 * @param {number[]} first
 * @param {number[]} second
 * @returns {number} by how many places the second is further down; the least of equally good ones
 */
function rowShift(first, second) {
  const least = Math.ceil(Math.min(first.length, second.length) / 2);
  let best = { shift: 0, cost: Infinity };
  for (let shift = least - first.length; shift <= second.length - least; shift++) {
    const [from, to] = [Math.max(0, -shift), Math.min(first.length, second.length - shift)];
    let sum = 0;
    for (let row = from; row < to; row++) sum += Math.abs(first[row] - second[row + shift]);
    const cost = sum / (to - from);
    if (cost < best.cost || (cost === best.cost && Math.abs(shift) < Math.abs(best.shift))) best = { shift, cost };
  }
  return best.shift;
}

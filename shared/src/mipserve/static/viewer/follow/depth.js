// @ts-check
import { AIR } from "./shift.js";
/** @typedef {import("../types.js").Film} Film */
/** @typedef {import("../types.js").Volume} Volume */

/**
 * How far behind the middle of the body each lesion lies. The middle is taken in the film's side view, whose columns go
 * from front to back; the lesions that this view shows tell where it lies in the patient's millimetres, since tables
 * stand at other heights from scan to scan.
 *
 * @param {Pick<Volume, "film" | "lesions">} volume
 * @returns {Map<number, number>} millimetres, by the lesions' ids
 */
export function depthsOf({ film, lesions }) {
  const { middles, body } = sideView(film);
  const edges = lesions.flatMap(({ id, centroid_mm: [, back] }) => (middles.has(id) ? back - (middles.get(id) ?? 0) : []));
  const edge = edges.sort((a, b) => a - b)[edges.length >> 1] ?? 0;
  return new Map(lesions.map(({ id, centroid_mm: [, back] }) => [id, back - edge - body]));
}

/**
 * @param {Film} film
 * @returns {{middles: Map<number, number>, body: number}} mm from the view's front edge: of lesions, by id, and of the body
 */
function sideView({ intensity, numbers, frames, columns, framePx: [height, width], pixelMm: [, side] }) {
  const frame = frames / 2, first = Math.floor(frame / columns) * height, left = (frame % columns) * width;
  /** @type {Map<number, {sum: number, pixels: number}>} */
  const sums = new Map();
  const add = (/** @type {number} */ id, /** @type {number} */ x) => {
    const { sum, pixels } = sums.get(id) ?? { sum: 0, pixels: 0 };
    sums.set(id, { sum: sum + (x + 0.5) * side, pixels: pixels + 1 });
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const place = (first + y) * columns * width + left + x;
      if (numbers[place]) add(numbers[place], x);
      if (intensity[place] > AIR) add(0, x); // the body
    }
  }
  const middles = new Map([...sums].map(([id, { sum, pixels }]) => [id, sum / pixels]));
  return { middles, body: middles.get(0) ?? 0 };
}

// @ts-check
import { traceOutline } from "./outline.js";
import { colour, paint } from "./pixels.js";
import { greyColours, windowOf } from "./window.js";
/** @typedef {import("./types.js").State} State */
/**
 * @typedef {object} Layer a part of the picture, drawn in pixels of the image
 * @property {(pen: CanvasRenderingContext2D, state: State, scale: number) => void} draw scale: CSS pixels per pixel
 */

// Distinguishable with the common colour-vision deficiencies (Okabe and Ito 2008); the same in every figure of MIPseg.
export const TRUE_POSITIVE = [0, 158, 115], FALSE_POSITIVE = [213, 94, 0], FALSE_NEGATIVE = [86, 180, 233];
const SELECTED = [0, 114, 178];

/** @param {number[]} rgb */
const css = (rgb) => `rgb(${rgb.join(" ")})`;

/**
 * Make a layer that paints an array in colours, anew only when one of its inputs is another.
 *
 * @param {(state: State) => {values: Uint8Array, key: unknown, colours: () => Uint32Array, alpha?: number} | null} choose
 *   null: nothing is shown
 * @returns {Layer}
 */
function painted(choose) {
  /** @type {{values: Uint8Array, key: unknown, picture: HTMLCanvasElement} | null} */
  let last = null;
  return {
    draw(pen, state) {
      const chosen = choose(state);
      if (!chosen) return;
      const { values, key, colours, alpha = 1 } = chosen;
      if (last?.values !== values || last.key !== key) {
        last = { values, key, picture: paint(values, state.width, colours()) };
      }
      pen.globalAlpha = alpha;
      pen.drawImage(last.picture, 0, 0);
      pen.globalAlpha = 1;
    },
  };
}

const makeImage = () => painted((state) => {
  const { low, high } = windowOf(state);
  return { values: state.intensity, key: `${state.darkIsHot} ${low} ${high}`, colours: () => greyColours(state) };
});

const makeHeat = () => painted((state) => (state.heat ? { values: state.probability, key: 0, colours: heatColours } : null));

// Neither over the agreement nor over the probabilities, whose colours mean something.
const makeFill = () => painted(({ mask, fill: alpha, compare, reference, heat }) => (compare && reference) || heat ? null : {
  values: mask, key: 0, alpha, colours: () => new Uint32Array([0, colour(...rgb(FALSE_POSITIVE))]),
});

function makeAgreement() {
  /** @type {{mask: Uint8Array | null, reference: Uint8Array | null, values: Uint8Array}} */
  let agreed = { mask: null, reference: null, values: new Uint8Array() };
  return painted(({ mask, reference, compare }) => {
    if (!compare || !reference) return null;
    if (agreed.mask !== mask || agreed.reference !== reference) {
      agreed = { mask, reference, values: mask.map((inside, pixel) => inside + 2 * reference[pixel]) };
    }
    const colours = () => new Uint32Array(
      [0, ...[FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE].map((one) => colour(...rgb(one)))]);
    return { values: agreed.values, key: 0, alpha: 0.85, colours };
  });
}

/** @returns {Layer} */
function makeOutlines() {
  /** @type {{labels: ArrayLike<number> | null, all: Path2D, each: Map<number, Path2D>}} */
  let traced = { labels: null, all: new Path2D(), each: new Map() };
  return {
    draw(pen, { labels, lesions, width, outline, compare, reference, selected, hovered }, scale) {
      if (traced.labels !== labels) traced = { labels, all: traceOutline(labels, width, () => true), each: new Map() };
      pen.lineCap = "square";
      if (outline && !(compare && reference)) stroke(pen, traced.all, 1.5 / scale, css(FALSE_POSITIVE));
      for (const id of new Set([hovered, selected])) {
        const lesion = lesions[id - 1];
        if (!lesion) continue;
        const path = traced.each.get(id) ?? traceOutline(labels, width, (label) => label === id, lesion.bbox);
        traced.each.set(id, path);
        strokeChosen(pen, path, scale);
        label(pen, lesion, scale);
      }
    },
  };
}

/**
 * Draw the outline of what is chosen.
 * @param {CanvasRenderingContext2D} pen
 * @param {Path2D} path
 * @param {number} scale pixels of the screen per unit of the path
 */
export function strokeChosen(pen, path, scale) {
  stroke(pen, path, 5 / scale, "rgb(255 255 255 / 85%)");
  stroke(pen, path, 2.5 / scale, css(SELECTED));
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Path2D} path
 * @param {number} width
 * @param {string} style
 */
function stroke(pen, path, width, style) {
  pen.lineWidth = width;
  pen.strokeStyle = style;
  pen.stroke(path);
}

/**
 * Write a lesion's number beside it.
 * @param {CanvasRenderingContext2D} pen
 * @param {import("./types.js").Lesion} lesion
 * @param {number} scale
 */
function label(pen, { id, bbox: [top, , , right] }, scale) {
  pen.font = `600 ${14 / scale}px system-ui, sans-serif`;
  pen.lineWidth = 4 / scale;
  pen.lineJoin = "round";
  pen.strokeStyle = "white";
  pen.fillStyle = css(SELECTED);
  pen.strokeText(String(id), right + 5 / scale, top + 6 / scale);
  pen.fillText(String(id), right + 5 / scale, top + 6 / scale);
}

/**
 * @param {number[]} three
 * @returns {[number, number, number]}
 */
const rgb = ([red, green, blue]) => [red, green, blue];

/** From clear over yellow and red to dark violet. */
export function heatColours() {
  const stops = [[255, 225, 90], [245, 130, 40], [200, 30, 60], [90, 10, 100]];
  return Uint32Array.from({ length: 256 }, (_, p) => {
    const place = (p / 255) * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2);
    const [red, green, blue] = stops[low].map((from, i) => from + (place - low) * (stops[low + 1][i] - from));
    return colour(red, green, blue, 255 * Math.min(0.85, 3 * (p / 255)));
  });
}

/** The layers of a picture, the lowest first. @returns {Layer[]} */
export const makeLayers = () => [makeImage(), makeHeat(), makeFill(), makeAgreement(), makeOutlines()];

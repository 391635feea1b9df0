// @ts-check
import { FEATURES, Neighbourhood } from "./neighbourhood.js";
import { RULE } from "./rule.js";
/**
 * @typedef {{x: number, y: number, adds: boolean}} Click a click that was made, at a pixel
 *
 * @typedef {object} Picture what a click is judged by; images row by row
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {Uint8Array} intensity 0 (air) to 255 (hot)
 * @property {Uint8Array} probability of a tumour, 255 p
 * @property {Uint8Array} mask 0 or 1
 * @property {Click[]} clicks that led to the mask
 *
 * @typedef {{weights: number[][], bias: number[]}} Layer
 * @typedef {{add: Layer[], remove: Layer[], cut: number}} Rule two small networks that give the log odds of a pixel to
 *   belong to the click; from `cut` on it does
 *
 * @typedef {{adds: boolean, pixels: number[]}} Correction pixels of the image that a click changes, its own first
 */

/**
 * What a click changes: outside of the mask it adds a lesion or what a lesion lacks, in the mask it removes a lesion or
 * what a lesion has too much.
 *
 * From the click on, all pixels are taken that are connected to it and that the rule says belong to it.
 *
 * @param {Picture} picture
 * @param {number} x column
 * @param {number} y row
 * @param {number} [more] added to the log odds: above 0 the region is larger, below 0 smaller
 * @param {Rule} [rule]
 * @returns {Correction}
 */
export function correctionAt(picture, x, y, more = 0, rule = RULE) {
  const around = new Neighbourhood(picture, x, y), { width, mask, removes } = around;
  const layers = removes ? rule.remove : rule.add, own = removes ? 1 : 0;
  const steps = [1, -1, width, -width, width + 1, width - 1, -width + 1, -width - 1];
  const row = new Float32Array(FEATURES), seen = new Uint8Array(mask.length), found = [around.click];
  seen[around.click] = 1;
  for (let next = 0; next < found.length; next++) {
    for (const step of steps) {
      const other = found[next] + step;
      if (seen[other] || mask[other] !== own) continue;
      seen[other] = 1;
      around.describe(other, row);
      if (logOdds(layers, row) + more >= rule.cut) found.push(other);
    }
  }
  const { origin } = around;
  const pixels = found.map((pixel) => {
    const column = pixel % width;
    return (origin.y + (pixel - column) / width) * picture.width + origin.x + column;
  });
  return { adds: !removes, pixels };
}

/**
 * @param {Layer[]} layers
 * @param {ArrayLike<number>} input
 */
function logOdds(layers, input) {
  for (const [index, { weights, bias }] of layers.entries()) {
    const output = new Float64Array(bias);
    for (let o = 0; o < output.length; o++) {
      const row = weights[o];
      for (let i = 0; i < row.length; i++) output[o] += row[i] * input[i];
      if (index < layers.length - 1) output[o] = Math.max(0, output[o]);
    }
    input = output;
  }
  return input[0];
}

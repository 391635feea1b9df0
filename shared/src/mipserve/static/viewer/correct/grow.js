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
 * @typedef {{add: Layer[], remove: Layer[]}} Rule two small networks that give the log odds that a click is about a pixel
 *
 * @typedef {{adds: boolean, pixels: number[]}} Correction pixels of the image that a click changes, its own first
 */

/**
 * What a click changes: outside of the mask it adds a lesion or what lesions lack, in the mask it removes a lesion or
 * what lesions have too much.
 *
 * From the click and from every outline around it on, all connected pixels are taken that the rule finds as wrong as the
 * clicked one: an outline that is too tight at one place mostly is at others.
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
  /** @param {number} pixel whose neighbours are looked at */
  const lookAround = (pixel) => {
    for (const step of steps) {
      const other = pixel + step;
      if (seen[other] || mask[other] !== own) continue;
      seen[other] = 1;
      around.describe(other, row);
      if (logOdds(layers, row) + more >= 0) found.push(other);
    }
  };
  for (let pixel = 0; pixel < mask.length; pixel++) if (mask[pixel] === 1 - own) lookAround(pixel);
  for (let next = 0; next < found.length; next++) lookAround(found[next]);
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
  for (const { weights, bias } of layers) {
    const isLast = weights.length === 1;
    input = weights.map((row, output) => {
      let sum = bias[output];
      for (let n = 0; n < row.length; n++) sum += row[n] * input[n];
      return isLast ? sum : Math.max(0, sum);
    });
  }
  return input[0];
}

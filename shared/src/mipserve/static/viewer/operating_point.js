// @ts-check
/** @typedef {import("./types.js").State} State */

export const NOTHING = 256; // a threshold that no 8-bit probability reaches
export const LEAST = 3; // 0.01 * 255: below, the model itself never marks anything

/**
 * The mask of an operating point. At the model's own position it is the model's own mask, to the pixel: that one comes
 * from unrounded probabilities, and without the components of which the model is nowhere certain enough.
 *
 * @param {State} state
 * @param {number} threshold 255 p from which a pixel is tumour
 * @returns {Uint8Array} 0 or 1
 */
export function maskAt({ probability, ownMask, ownThreshold }, threshold) {
  return threshold === ownThreshold ? ownMask : probability.map((p) => (p >= threshold ? 1 : 0));
}

/**
 * Where on the scale of thresholds a mask lies.
 *
 * @param {Uint8Array} mask 0 or 1
 * @param {Uint8Array} probability 255 p
 * @returns {number} the lowest probability inside; `NOTHING` for an empty mask
 */
export function thresholdOf(mask, probability) {
  let lowest = NOTHING;
  for (let pixel = 0; pixel < mask.length; pixel++) {
    if (mask[pixel] && probability[pixel] < lowest) lowest = probability[pixel];
  }
  return Math.max(lowest, LEAST);
}

/**
 * The Dice to expect of a mask if each pixel is tumour with its probability q, independently of the others:
 * 2 (sum of q inside) / (pixels inside + sum of all q). As in the model's own decoding the probabilities, which are too
 * sharp, are softened first: q = sigmoid(temperature * logit(p)), 0 where the model never marks anything (RankSEG: Dai
 * and Li, JMLR 24, 2023).
 *
 * @param {Uint8Array} mask 0 or 1
 * @param {Uint8Array} probability 255 p
 * @param {number} temperature the model's; 1 leaves the probabilities as they are
 * @returns {number | null} 0 to 1; null of an empty mask, of which it would be 0 however healthy the body is
 */
export function expectedDice(mask, probability, temperature) {
  const softened = Float64Array.from({ length: 256 }, (_, p) => (p < LEAST ? 0 : soften(p / 255, temperature)));
  let [inside, all, pixels] = [0, 0, 0];
  for (let pixel = 0; pixel < mask.length; pixel++) {
    const q = softened[probability[pixel]];
    all += q;
    if (mask[pixel]) {
      inside += q;
      pixels += 1;
    }
  }
  return pixels === 0 ? null : (2 * inside) / (pixels + all);
}

/**
 * @param {number} p
 * @param {number} temperature
 */
function soften(p, temperature) {
  return 1 / (1 + ((1 - Math.min(p, 1 - 1e-4)) / p) ** temperature);
}

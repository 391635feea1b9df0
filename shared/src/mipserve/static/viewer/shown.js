// @ts-check
import { thresholdOf } from "./operating_point.js";
import { ServiceError } from "./problem.js";
/** @typedef {{width: number, height: number, grey: Uint8Array}} Grey a decoded picture */

/**
 * What is shown once an image has come, with the model's own mask.
 *
 * @param {Grey} image dark is hot
 * @param {Grey} mask black and white
 * @param {Grey} probability 255 p
 */
export function shown(image, mask, probability) {
  const ownMask = toMask(mask.grey), threshold = thresholdOf(ownMask, probability.grey);
  return {
    phase: /** @type {const} */ ("shown"), width: image.width, height: image.height,
    intensity: image.grey.map((value) => 255 - value), probability: probability.grey,
    mask: ownMask, ownMask, threshold, ownThreshold: threshold, edited: false,
  };
}

/**
 * Turn a mask of the service into truth values. Some browsers hand out noise instead of pixels, against fingerprinting;
 * it would be shown as lesions.
 *
 * @param {Uint8Array} grey 0 or 255
 * @returns {Uint8Array} 0 or 1
 * @throws {ServiceError}
 */
export function toMask(grey) {
  if (grey.some((value) => value !== 0 && value !== 255)) {
    const words = "This browser changes the pixels of pictures, against fingerprinting. Allow this page to read its canvas.";
    throw new ServiceError("The image can't be shown", words);
  }
  return grey.map((value) => value && 1);
}

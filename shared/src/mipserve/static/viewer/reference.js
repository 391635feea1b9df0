// @ts-check
import { decodeGrey } from "./pixels.js";
/** @typedef {{width: number, height: number, mask: Uint8Array}} Mask mask: 0 or 1 */

/**
 * Read a file as a mask.
 *
 * @param {Blob} file
 * @returns {Promise<Mask | null>} null if it is not an image of black and white alone, most of it black
 */
export async function readMask(file) {
  const image = await decodeGrey(file).catch(() => null);
  if (!image) return null;
  let black = 0;
  for (const value of image.grey) {
    if (value === 0) black += 1;
    else if (value !== 255) return null;
  }
  if (2 * black < image.grey.length) return null;
  return { width: image.width, height: image.height, mask: image.grey.map((value) => value && 1) };
}

/**
 * Compare what is shown with a reference, if that has the same size.
 *
 * @param {import("./store.js").Store} store
 * @param {Mask | null} found
 */
export function compareWith(store, found) {
  const { phase, width, height } = store.state;
  if (phase !== "shown") return;
  if (!found) {
    store.update({ referenceProblem: "That is not a mask: it must be a PNG, white in tumours and black elsewhere." });
  } else if (found.width !== width || found.height !== height) {
    const sizes = `the mask has ${found.width} x ${found.height} pixels, the image ${width} x ${height}`;
    store.update({ referenceProblem: `That mask is for another image: ${sizes}.` });
  } else {
    store.update({ reference: found.mask, referenceProblem: "", compare: true });
  }
}

/**
 * @param {Uint8Array} reference 0 or 1
 * @param {Uint8Array} prediction 0 or 1
 * @returns {{tp: number, fp: number, fn: number, dice: number}} pixels; two empty masks have a Dice of 1
 */
export function agreement(reference, prediction) {
  let [tp, fp, fn] = [0, 0, 0];
  for (let pixel = 0; pixel < reference.length; pixel++) {
    if (prediction[pixel]) reference[pixel] ? (tp += 1) : (fp += 1);
    else fn += reference[pixel];
  }
  const pixels = 2 * tp + fp + fn;
  return { tp, fp, fn, dice: pixels === 0 ? 1 : (2 * tp) / pixels };
}

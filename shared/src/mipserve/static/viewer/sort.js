// @ts-check
import { ServiceError } from "./problem.js";
import { readMask } from "./reference.js";
/** @typedef {{scans: File[], masks: import("./reference.js").Mask[]}} Sorted scans: one image, or all files of a volume */

/**
 * Tell the files that came together apart: one image with or without its mask, or those of a volume.
 *
 * @param {File[]} files pictures beside a volume, such as previews, are left out
 * @returns {Promise<Sorted>} a mask that comes alone is a mask
 * @throws {ServiceError} several images
 */
export async function sort(files) {
  const isImage = await Promise.all(files.map(isPicture)), volume = files.filter((_, place) => !isImage[place]);
  if (volume.length > 0) return { scans: volume, masks: [] };
  const found = await Promise.all(files.slice(0, 3).map(readMask)), images = files.filter((_, place) => !found[place]);
  if (images.length > 1) {
    throw new ServiceError("That is more than one image", "Open one image at a time, alone or with its mask.");
  }
  return { scans: images, masks: found.filter((mask) => mask !== null) };
}

/**
 * Whether a file is a PNG or JPEG by its first bytes; what else comes is a volume.
 * @param {Blob} file
 */
export async function isPicture(file) {
  const first = String.fromCharCode(...new Uint8Array(await file.slice(0, 4).arrayBuffer()));
  return first === "\x89PNG" || first.startsWith("\xff\xd8\xff");
}

// @ts-check
import { HEAD_BYTES, OTHER, UNREADABLE, modalityOf } from "./dicom.js";
import { count } from "./format.js";
import { ServiceError } from "./problem.js";
import { readMask } from "./reference.js";
/**
 * @typedef {object} Sorted files that came together
 * @property {File[]} scans one image, or all files of a volume
 * @property {import("./reference.js").Mask[]} masks
 * @property {string} leftOut in words, what will not be sent; empty: nothing
 */

const PICTURE = "picture";

/**
 * Tell the files that came together apart: one image with or without its mask, or those of a volume. Beside a volume,
 * pictures such as previews are left out; beside a DICOM PET, all else is, such as the CT.
 *
 * @param {File[]} files
 * @returns {Promise<Sorted>} a mask that comes alone is a mask
 * @throws {ServiceError} several images, or DICOM files of which none is PET
 */
export async function sort(files) {
  const kinds = await Promise.all(files.map(kindOf));
  if (kinds.some((kind) => kind !== PICTURE)) return sortVolume(files, kinds);
  const found = await Promise.all(files.slice(0, 3).map(readMask)), images = files.filter((_, place) => !found[place]);
  if (images.length > 1) {
    throw new ServiceError("That is more than one image", "Open one image at a time, alone or with its mask.");
  }
  return { scans: images, masks: found.filter((mask) => mask !== null), leftOut: "" };
}

/**
 * @param {File[]} files
 * @param {(string | null)[]} kinds of them, from `kindOf`
 * @returns {Sorted}
 */
function sortVolume(files, kinds) {
  const isDicom = kinds.some((kind) => kind !== null && kind !== PICTURE);
  const isWanted = (/** @type {string | null} */ kind) => (isDicom ? kind === "PT" || kind === UNREADABLE : kind === null);
  const others = words(kinds.filter((kind) => !isWanted(kind)));
  const scans = files.filter((_, place) => isWanted(kinds[place]));
  if (scans.length === 0) {
    throw new ServiceError("There is no PET in it", `Nothing was sent. It has: ${others}. Drop the folder of the PET series.`);
  }
  return { scans, masks: [], leftOut: others && `Left out and not sent: ${others}.` };
}

/**
 * @param {(string | null)[]} kinds of files
 * @returns {string} how many there are of each, most first
 */
function words(kinds) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const kind of kinds) counts.set(kind ?? OTHER, (counts.get(kind ?? OTHER) ?? 0) + 1);
  return [...counts].sort(([one, a], [other, b]) => b - a || one.localeCompare(other)).map(([kind, files]) => count(files, `${kind} file`)).join(", ");
}

/**
 * @param {Blob} file
 * @returns {Promise<string | null>} `PICTURE`, the modality of a DICOM file, or null: something else
 */
async function kindOf(file) {
  return (await isPicture(file)) ? PICTURE : modalityOf(new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer()));
}

/**
 * Whether a file is a PNG or JPEG by its first bytes; what else comes is a volume.
 * @param {Blob} file
 */
export async function isPicture(file) {
  const first = String.fromCharCode(...new Uint8Array(await file.slice(0, 4).arrayBuffer()));
  return first === "\x89PNG" || first.startsWith("\xff\xd8\xff");
}

// @ts-check
import { ServiceError } from "./problem.js";

/** What is sent at most: the service's defaults, until it has told its own. */
export const limits = { files: 50_000, bytes: 512 * 2 ** 20 };
const HIDDEN = /^\.|^(thumbs\.db|desktop\.ini)$/i;
/** @typedef {{files: File[] | Promise<File[]>, name: string}} Given what came together; name: of the folder, else empty */

/**
 * All files of what was dropped, those of folders too. To be called at once in the event: its items are gone afterwards.
 *
 * @param {DataTransfer} transfer
 * @returns {Given} its files fail to come with a ServiceError where there are far too many
 */
export function readDropped(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const entries = items.flatMap((item) => item.webkitGetAsEntry() ?? []), folder = entries.find((entry) => entry.isDirectory);
  return folder ? { files: collectAll(entries), name: folder.name } : { files: [...transfer.files], name: "" };
}

/**
 * All files of a folder that was chosen.
 * @param {File[]} files at least one
 * @returns {Given}
 */
export function readChosen(files) {
  const [name] = files[0].webkitRelativePath.split("/");
  return { files: Promise.resolve(files).then(withoutHidden), name };
}

/** @param {File[]} files */
function withoutHidden(files) {
  check(files.length);
  return files.filter(({ webkitRelativePath }) => !webkitRelativePath.split("/").some((part) => HIDDEN.test(part)));
}

/** @param {FileSystemEntry[]} entries */
async function collectAll(entries) {
  /** @type {File[]} */
  const files = [];
  for (const entry of entries) await collect(entry, files);
  return files;
}

/**
 * @param {FileSystemEntry} entry
 * @param {File[]} files those found so far, to which more are added
 */
async function collect(entry, files) {
  if (HIDDEN.test(entry.name)) return;
  check(files.length + 1);
  if (entry.isFile) {
    files.push(await new Promise((done, fail) => /** @type {FileSystemFileEntry} */ (entry).file(done, fail)));
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) { // a folder is given in parts, and ends with an empty one
    const part = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (part.length === 0) return;
    for (const one of part) await collect(one, files);
  }
}

/** @param {number} count of files */
function check(count) {
  if (count <= limits.files) return;
  throw new ServiceError("Too many files", `At most ${limits.files} are taken. Drop the folder of the PET series alone.`);
}

/**
 * Refuse what the service would not take, before it is sent.
 * @param {Blob[]} files
 * @throws {ServiceError}
 */
export function checkSize(files) {
  const size = files.reduce((sum, file) => sum + file.size, 0), mb = 2 ** 20;
  if (files.length === 0) throw new ServiceError("There is no file in it", "Drop a folder that holds the files of a PET series.");
  if (size <= limits.bytes) return;
  const advice = files.length > 1 ? "Drop the folder of the PET series alone." : "Compress it, as .nii.gz or ZIP.";
  throw new ServiceError("That is too large", `It has ${Math.ceil(size / mb)} MB; at most ${limits.bytes / mb} MB are taken. ${advice}`);
}

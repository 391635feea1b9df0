// @ts-check
const HEADER = 30, ENTRY = 46, END = 22; // bytes of the records, names not counted
const VERSION = 20, IS_UTF8 = 0x800, NEW_YEAR_1980 = 0x21;

/**
 * Pack files into a ZIP archive, without compression (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16). Their names
 * and dates, which may tell of a patient, stay behind.
 *
 * @param {Blob[]} files at most 65,535, together below 4 GiB
 * @param {(share: number) => void} onstep told how far it is, from 0 to 1
 * @param {AbortSignal} signal ends it
 * @returns {Promise<Blob>} refers to the files, whose content is not held in memory
 */
export async function packZip(files, onstep, signal) {
  /** @type {BlobPart[]} */
  const parts = [], entries = [];
  let offset = 0;
  for (const [index, file] of files.entries()) {
    signal.throwIfAborted();
    onstep(index / files.length);
    const name = new TextEncoder().encode(String(index).padStart(6, "0"));
    const about = { crc: crc32(new Uint8Array(await file.arrayBuffer())), size: file.size, offset };
    parts.push(record(0x04034b50, HEADER, about), name, file);
    entries.push(record(0x02014b50, ENTRY, about), name);
    offset += HEADER + name.length + file.size;
  }
  const size = entries.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return new Blob([...parts, ...entries, end(files.length, size, offset)], { type: "application/zip" });
}

/**
 * @param {number} signature
 * @param {typeof HEADER | typeof ENTRY} bytes
 * @param {{crc: number, size: number, offset: number}} about a file
 * @returns {Uint8Array<ArrayBuffer>} what stands before a file, or for it in the directory
 */
function record(signature, bytes, { crc, size, offset }) {
  const view = new DataView(new ArrayBuffer(bytes)), isEntry = bytes === ENTRY;
  view.setUint32(0, signature, true);
  if (isEntry) view.setUint16(4, VERSION, true); // made by
  const start = isEntry ? 6 : 4; // from here on both are alike
  view.setUint16(start, VERSION, true);
  view.setUint16(start + 2, IS_UTF8, true);
  view.setUint16(start + 8, NEW_YEAR_1980, true);
  view.setUint32(start + 10, crc, true);
  view.setUint32(start + 14, size, true);
  view.setUint32(start + 18, size, true);
  view.setUint16(start + 22, 6, true); // of the name
  if (isEntry) view.setUint32(42, offset, true);
  return new Uint8Array(view.buffer);
}

/**
 * @param {number} count
 * @param {number} size bytes of the directory
 * @param {number} offset of the directory
 */
function end(count, size, offset) {
  const view = new DataView(new ArrayBuffer(END));
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, count, true);
  view.setUint16(10, count, true);
  view.setUint32(12, size, true);
  view.setUint32(16, offset, true);
  return new Uint8Array(view.buffer);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  return value;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let value = 0xffffffff;
  for (let place = 0; place < bytes.length; place++) value = (value >>> 8) ^ TABLE[(value ^ bytes[place]) & 255];
  return ~value >>> 0;
}

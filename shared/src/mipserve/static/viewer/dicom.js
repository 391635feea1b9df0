// @ts-check
export const HEAD_BYTES = 16384; // of a file; the modality stands among the first elements
export const OTHER = "other", UNREADABLE = "unreadable";

const PREAMBLE = 128, MODALITY = 0x00080060, TRANSFER_SYNTAX = 0x00020010, FILE_META = 2;
const BIG_ENDIAN = "1.2.840.10008.1.2.2", DEFLATED = "1.2.840.10008.1.2.1.99";
const ITEM = 0xfffee000, END_OF_ITEM = 0xfffee00d, END_OF_SEQUENCE = 0xfffee0dd, UNDEFINED = 0xffffffff;
const LONG = /^(O[BDFLVW]|S[QV]|U[CNRTV])$/; // value representations whose length has four bytes

/**
 * Read what made a DICOM file (PS3.10 section 7, PS3.5 section 7): little or big endian, explicit or implicit value
 * representations, with or without a preamble.
 *
 * @param {Uint8Array} head the first `HEAD_BYTES` of a file
 * @returns {string | null} such as PT or CT; `OTHER` without a modality, as of a DICOMDIR; `UNREADABLE` where the head
 *   does not tell, as of a damaged file; null if it is no DICOM file
 */
export function modalityOf(head) {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const hasPreamble = textAt(view, PREAMBLE, 4) === "DICM";
  try {
    if (hasPreamble) return modalityFrom(view, PREAMBLE + 4);
    const found = modalityFrom(view, 0);
    return /^[A-Z]{2,16}$/.test(found) ? found : null;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the head ends before it
    return hasPreamble ? UNREADABLE : null;
  }
}

/**
 * @param {DataView} view
 * @param {number} place of the first element
 * @returns {string}
 * @throws {RangeError} the head ends before the modality
 */
function modalityFrom(view, place) {
  let syntax = "";
  while (view.getUint16(place, true) === FILE_META) {
    const { tag, start, length } = elementAt(view, place, true);
    if (tag === TRANSFER_SYNTAX) syntax = textAt(view, start, length);
    place = start + length;
  }
  if (syntax === DEFLATED) return UNREADABLE;
  for (let depth = 0; ;) {
    const { tag, start, length } = elementAt(view, place, syntax !== BIG_ENDIAN);
    place = start;
    if (tag === ITEM || tag === END_OF_ITEM) continue; // what is in it follows
    if (tag === END_OF_SEQUENCE) depth -= 1;
    else if (length === UNDEFINED) depth += 1;
    else if (depth === 0 && tag === MODALITY) return textAt(view, start, length);
    else if (depth === 0 && tag > MODALITY) return OTHER;
    else place += length;
  }
}

/**
 * @param {DataView} view
 * @param {number} place
 * @param {boolean} isLittle endian
 * @returns {{tag: number, start: number, length: number}} start: of its value
 */
function elementAt(view, place, isLittle) {
  const tag = view.getUint16(place, isLittle) * 0x10000 + view.getUint16(place + 2, isLittle);
  const kind = textAt(view, place + 4, 2); // of implicit ones a part of the length, which is no letters
  if (tag >= ITEM || !/^[A-Z]{2}$/.test(kind)) return { tag, start: place + 8, length: view.getUint32(place + 4, isLittle) };
  if (LONG.test(kind)) return { tag, start: place + 12, length: view.getUint32(place + 8, isLittle) };
  return { tag, start: place + 8, length: view.getUint16(place + 6, isLittle) };
}

/**
 * @param {DataView} view
 * @param {number} place
 * @param {number} length
 * @returns {string} without padding; shorter where the head ends
 */
function textAt({ buffer, byteOffset, byteLength }, place, length) {
  const end = Math.min(place + length, byteLength);
  const bytes = new Uint8Array(buffer, byteOffset + Math.min(place, end), Math.max(0, end - place));
  return String.fromCharCode(...bytes).replace(/[\0 ]+$/, "");
}

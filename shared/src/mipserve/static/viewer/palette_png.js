// @ts-check
const SIGNATURE = 8, CRC = 4;
const PALETTE = 3;

/**
 * Read the numbers of a PNG's pixels, which a browser gives as the palette's colours alone.
 *
 * @param {Blob} file a PNG with a palette, 8 bits a pixel, not interlaced
 * @returns {Promise<{width: number, height: number, numbers: Uint8Array}>}
 * @throws {Error} it is another kind of file
 */
export async function readPalettePng(file) {
  const bytes = new Uint8Array(await file.arrayBuffer()), view = new DataView(bytes.buffer);
  let [width, height] = [0, 0];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const packed = [];
  for (let start = SIGNATURE; start < bytes.length;) {
    const length = view.getUint32(start), data = start + 8;
    const kind = String.fromCharCode(...bytes.subarray(start + 4, data));
    if (kind === "IHDR") {
      [width, height] = [view.getUint32(data), view.getUint32(data + 4)];
      if (bytes[data + 8] !== 8 || bytes[data + 9] !== PALETTE || bytes[data + 12] !== 0) throw new Error("not a PNG with a palette");
    }
    if (kind === "IDAT") packed.push(bytes.subarray(data, data + length));
    start = data + length + CRC;
  }
  const stream = new Blob(packed).stream().pipeThrough(new DecompressionStream("deflate"));
  return { width, height, numbers: unfilter(new Uint8Array(await new Response(stream).arrayBuffer()), width, height) };
}

/**
 * Undo the filters of the rows (PNG specification, third edition, section 9).
 *
 * @param {Uint8Array} filtered each row behind a byte that names its filter
 * @param {number} width
 * @param {number} height
 */
function unfilter(filtered, width, height) {
  const pixels = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const filter = filtered[row * (width + 1)];
    for (let column = 0; column < width; column++) {
      const place = row * width + column;
      const left = column > 0 ? pixels[place - 1] : 0, above = row > 0 ? pixels[place - width] : 0;
      const corner = column > 0 && row > 0 ? pixels[place - width - 1] : 0;
      const guess = guessOf(filter, left, above, corner);
      pixels[place] = filtered[place + row + 1] + guess;
    }
  }
  return pixels;
}

/**
 * @param {number} filter 0 to 4
 * @param {number} left
 * @param {number} above
 * @param {number} corner
 */
function guessOf(filter, left, above, corner) {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  return filter === 3 ? (left + above) >> 1 : paeth(left, above, corner);
}

/**
 * @param {number} left
 * @param {number} above
 * @param {number} corner
 * @returns {number} the neighbour that is nearest to left + above - corner
 */
function paeth(left, above, corner) {
  const toLeft = Math.abs(above - corner), toAbove = Math.abs(left - corner), toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

// @ts-check
const FAR = 1 << 14;
const UNIT = 3; // of the distances: three to a pixel

/**
 * How far each pixel is from the edge of a mask, above 0 outside and below 0 inside, by the chamfer 3-4 distance
 * (Borgefors 1986, Comput Vis Graph Image Process 34:344-371), which is within 6 % of the true one.
 *
 * @param {Uint8Array} mask 0 or 1, row by row; another number along the border, which is neither
 * @param {number} width
 * @returns {Float32Array} pixels; 0 along the border
 */
export function signedDistance(mask, width) {
  const toMask = chamfer(mask, 1, width), toRest = chamfer(mask, 0, width);
  return Float32Array.from(mask, (value, pixel) => {
    if (value > 1) return 0;
    return (value ? -toRest[pixel] : toMask[pixel]) / UNIT;
  });
}

/**
 * @param {Uint8Array} mask
 * @param {number} wanted
 * @param {number} width
 */
function chamfer(mask, wanted, width) {
  const far = new Int16Array(mask.length).fill(FAR), height = mask.length / width;
  for (let pixel = 0; pixel < mask.length; pixel++) if (mask[pixel] === wanted) far[pixel] = 0;
  /** @param {number} pixel @param {number} back 1 or -1: from which side */
  const relax = (pixel, back) => {
    const across = Math.min(far[pixel - back], far[pixel - back * width]) + 3;
    const slanted = Math.min(far[pixel - back * (width - 1)], far[pixel - back * (width + 1)]) + 4;
    far[pixel] = Math.min(far[pixel], across, slanted);
  };
  for (let y = 1; y < height - 1; y++) for (let x = 1; x < width - 1; x++) relax(y * width + x, 1);
  for (let y = height - 2; y > 0; y--) for (let x = width - 2; x > 0; x--) relax(y * width + x, -1);
  return far;
}

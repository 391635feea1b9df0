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
  const toMask = chamfer(mask, 1, width), toRest = chamfer(mask, 0, width), distance = new Float32Array(mask.length);
  for (let pixel = 0; pixel < mask.length; pixel++) {
    if (mask[pixel] === 0) distance[pixel] = toMask[pixel] / UNIT;
    else if (mask[pixel] === 1) distance[pixel] = -toRest[pixel] / UNIT;
  }
  return distance;
}

/**
 * @param {Uint8Array} mask
 * @param {number} wanted
 * @param {number} width
 */
function chamfer(mask, wanted, width) {
  const far = new Int16Array(mask.length);
  for (let pixel = 0; pixel < mask.length; pixel++) far[pixel] = mask[pixel] === wanted ? 0 : FAR;
  const first = width + 1, last = mask.length - width - 2; // the pixels at both ends of the rows are border
  for (let pixel = first; pixel <= last; pixel++) if (mask[pixel] < 2) relax(far, pixel, -1, -width);
  for (let pixel = last; pixel >= first; pixel--) if (mask[pixel] < 2) relax(far, pixel, 1, width);
  return far;
}

/**
 * @param {Int16Array} far
 * @param {number} pixel
 * @param {number} side step to the neighbour in the row that was dealt with before
 * @param {number} row step to the row that was dealt with before
 */
function relax(far, pixel, side, row) {
  let least = far[pixel];
  if (far[pixel + side] + 3 < least) least = far[pixel + side] + 3;
  if (far[pixel + row] + 3 < least) least = far[pixel + row] + 3;
  if (far[pixel + row + 1] + 4 < least) least = far[pixel + row + 1] + 4;
  if (far[pixel + row - 1] + 4 < least) least = far[pixel + row - 1] + 4;
  far[pixel] = least;
}

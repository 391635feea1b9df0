// @ts-check
/** @typedef {import("../types.js").Point} Point */

/**
 * The pixels that a round brush touches on its way from one point to another.
 *
 * @param {{width: number, height: number}} image
 * @param {Point} from in pixels
 * @param {Point} to
 * @param {number} radius in pixels, from 0.5
 * @returns {number[]} all pixels whose middle is at most `radius` from the way, and the one in which it ends
 */
export function strokePixels({ width, height }, from, to, radius) {
  const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius));
  const right = Math.min(width - 1, Math.floor(Math.max(from.x, to.x) + radius));
  const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - radius));
  const bottom = Math.min(height - 1, Math.floor(Math.max(from.y, to.y) + radius));
  const [dx, dy] = [to.x - from.x, to.y - from.y], length2 = dx * dx + dy * dy;
  const [endX, endY] = [Math.floor(to.x), Math.floor(to.y)], pixels = [];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
      const share = length2 && Math.min(1, Math.max(0, (px * dx + py * dy) / length2));
      const isNear = Math.hypot(px - share * dx, py - share * dy) <= radius;
      if (isNear || (x === endX && y === endY)) pixels.push(y * width + x);
    }
  }
  return pixels;
}

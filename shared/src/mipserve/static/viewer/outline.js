// @ts-check

/**
 * Trace the edges between the pixels of lesions and all others.
 *
 * @param {ArrayLike<number>} labels of the lesions, 0 outside
 * @param {number} width
 * @param {number} count of the lesions
 * @returns {Path2D[]} at the index of each lesion's label, in pixels of the image; index 0 is empty
 */
export function traceOutlines(labels, width, count) {
  const paths = Array.from({ length: count + 1 }, () => new Path2D()), height = labels.length / width;
  for (let pixel = 0; pixel < labels.length; pixel++) {
    const label = labels[pixel];
    if (label === 0) continue;
    const x = pixel % width, y = Math.floor(pixel / width);
    if (y === 0 || labels[pixel - width] !== label) line(paths[label], x, y, x + 1, y);
    if (y === height - 1 || labels[pixel + width] !== label) line(paths[label], x, y + 1, x + 1, y + 1);
    if (x === 0 || labels[pixel - 1] !== label) line(paths[label], x, y, x, y + 1);
    if (x === width - 1 || labels[pixel + 1] !== label) line(paths[label], x + 1, y, x + 1, y + 1);
  }
  return paths;
}

/**
 * @param {Path2D} path
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1
 */
function line(path, x0, y0, x1, y1) {
  path.moveTo(x0, y0);
  path.lineTo(x1, y1);
}

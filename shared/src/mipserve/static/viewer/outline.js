// @ts-check

/**
 * Trace the edges between the pixels of one kind and all others.
 *
 * @param {ArrayLike<number>} labels of the lesions, 0 outside
 * @param {number} width
 * @param {(label: number) => boolean} isInside whether pixels of a label are of that kind; 0 never is
 * @param {[number, number, number, number]} [bbox] where they lie: first row, first column, and those behind the last
 * @returns {Path2D} in pixels of the image
 */
export function traceOutline(labels, width, isInside, bbox = [0, 0, labels.length / width, width]) {
  const path = new Path2D(), height = labels.length / width, [top, left, bottom, right] = bbox;
  /** @type {(pixel: number) => boolean} */
  const holds = (pixel) => labels[pixel] !== 0 && isInside(labels[pixel]);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const pixel = y * width + x;
      if (!holds(pixel)) continue;
      if (y === 0 || !holds(pixel - width)) line(path, x, y, x + 1, y);
      if (y === height - 1 || !holds(pixel + width)) line(path, x, y + 1, x + 1, y + 1);
      if (x === 0 || !holds(pixel - 1)) line(path, x, y, x, y + 1);
      if (x === width - 1 || !holds(pixel + 1)) line(path, x + 1, y, x + 1, y + 1);
    }
  }
  return path;
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

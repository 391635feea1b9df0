// @ts-check
/** Means over squares of any size, by sums over rectangles from the first pixel on (Crow 1984, SIGGRAPH 18:207-212). */
export class LocalMeans {
  #sums;

  /**
   * @param {Uint8Array} values row by row
   * @param {number} width
   */
  constructor(values, width) {
    this.width = width;
    this.height = values.length / width;
    const columns = width + 1;
    this.#sums = new Int32Array(columns * (this.height + 1));
    for (let y = 0; y < this.height; y++) {
      let row = 0;
      for (let x = 0; x < width; x++) {
        row += values[y * width + x];
        this.#sums[(y + 1) * columns + x + 1] = this.#sums[y * columns + x + 1] + row;
      }
    }
  }

  /**
   * The mean over the part of a square that lies in the image.
   * @param {number} x column of its middle
   * @param {number} y row
   * @param {number} radius pixels on each side of the middle
   */
  at(x, y, radius) {
    const left = Math.max(0, x - radius), right = Math.min(this.width, x + radius + 1), columns = this.width + 1;
    const top = Math.max(0, y - radius) * columns, bottom = Math.min(this.height, y + radius + 1) * columns;
    const sum = this.#sums[bottom + right] - this.#sums[bottom + left] - this.#sums[top + right] + this.#sums[top + left];
    return (sum * columns) / ((right - left) * (bottom - top));
  }

  /** @param {number} radius @returns {Uint8Array} the mean around each pixel */
  all(radius) {
    const means = new Uint8Array(this.width * this.height);
    for (let y = 0, pixel = 0; y < this.height; y++) for (let x = 0; x < this.width; x++) means[pixel++] = this.at(x, y, radius);
    return means;
  }
}

/**
 * The highest value in a square around each pixel.
 *
 * @param {Uint8Array} values row by row
 * @param {number} width
 * @param {number} radius pixels on each side
 * @returns {Uint8Array}
 */
export function localMaxima(values, width, radius) {
  const height = values.length / width, size = 2 * radius + 1, columns = width + 2 * radius;
  const highest = new Uint8Array(columns * (height + 2 * radius)), maxima = new Uint8Array(values.length);
  for (let y = 0; y < height; y++) {
    highest.set(values.subarray(y * width, (y + 1) * width), (y + radius) * columns + radius);
  }
  for (const step of [1, columns]) {
    // Each number becomes the highest of itself and those after it: of 2, of 4, ... until they are as many as a side.
    for (let reached = 1, more = 1; reached < size; reached += more) {
      more = Math.min(reached, size - reached);
      for (let one = 0, other = more * step; other < highest.length; one++, other++) {
        if (highest[other] > highest[one]) highest[one] = highest[other];
      }
    }
  }
  for (let y = 0; y < height; y++) maxima.set(highest.subarray(y * columns, y * columns + width), y * width);
  return maxima;
}

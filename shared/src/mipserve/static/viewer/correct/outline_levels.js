// @ts-check
import { LocalMeans } from "./local.js";

const RADIUS = 6; // pixels on each side over which an outline's level is taken
const WIDEST = 12; // pixels: no error is taken for wider on each side of its middle

/** The levels of images along the mask's outlines: of its pixels that touch what is not marked. */
export class OutlineLevels {
  #share;
  #sums;

  /**
   * @param {Uint8Array} mask row by row; 1 inside, 0 outside, another number along the border
   * @param {number} width
   * @param {((pixel: number) => number)[]} images each gives a pixel's value, 0 to 255
   */
  constructor(mask, width, images) {
    const outline = new Uint8Array(mask.length);
    for (let pixel = width; pixel < mask.length - width; pixel++) {
      const touches = mask[pixel - 1] === 0 || mask[pixel + 1] === 0 || mask[pixel - width] === 0 || mask[pixel + width] === 0;
      if (mask[pixel] === 1 && touches) outline[pixel] = 1;
    }
    this.#share = new LocalMeans(outline, width);
    this.#sums = images.map((image) => new LocalMeans(outline.map((is, pixel) => (is ? image(pixel) : 0)), width));
  }

  /**
   * The mean of each image along the outlines around a pixel.
   * @param {number} x column
   * @param {number} y row
   * @returns {number[] | null} null: there are none
   */
  at(x, y) {
    const share = this.#share.at(x, y, RADIUS);
    return share ? this.#sums.map((sums) => sums.at(x, y, RADIUS) / share) : null;
  }
}

/**
 * Who clicks at the middle of an error tells how wide it is: as far as it is to the mask's edge on one side, so far it
 * should be to the right outline on the other.
 *
 * @param {object} around
 * @param {Uint8Array} around.mask row by row
 * @param {Float32Array} around.distance of each pixel from the mask's edge
 * @param {number} around.width
 * @param {number} around.click a pixel
 * @returns {{radius: number, inside: number[], beyond: number[]}} pixels nearer to the click than that, which are wrong
 *   then; and those where the error ends
 */
export function errorAround({ mask, distance, width, click }) {
  const radius = Math.min(WIDEST, Math.abs(distance[click])), reach = Math.ceil(radius + 2);
  const x = click % width, y = (click - x) / width, height = mask.length / width;
  /** @type {number[]} */
  const inside = [], /** @type {number[]} */ beyond = [];
  for (let row = Math.max(1, y - reach); row <= Math.min(height - 2, y + reach); row++) {
    for (let column = Math.max(1, x - reach); column <= Math.min(width - 2, x + reach); column++) {
      const pixel = row * width + column, far = Math.hypot(column - x, row - y);
      if (mask[pixel] !== mask[click]) continue;
      if (far < radius) inside.push(pixel);
      const isOpposite = Math.abs(distance[pixel]) >= 1.3 * radius;
      if (isOpposite && far >= radius - 0.5 && far <= radius + 1.5) beyond.push(pixel);
    }
  }
  return { radius, inside, beyond };
}

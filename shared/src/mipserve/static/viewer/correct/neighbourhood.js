// @ts-check
import { signedDistance } from "./distance.js";
import { flood } from "./flood.js";
/** @typedef {import("./grow.js").Picture} Picture */

const REACH = 96; // pixels on each side of a click that it may change
const NEITHER = 2; // of a mask: outside of the image
const MEAN = 2; // a local mean is taken over 5 x 5 pixels

/** How many numbers describe a pixel. */
export const FEATURES = 22;

/** The log odds of each 8-bit probability, a fifth of them to be of the size of the other numbers. */
const LOGIT = Float32Array.from({ length: 256 }, (_, p) => Math.log((p + 0.5) / (255.5 - p)) / 5);

/** @param {number} value at least 0, in which small differences matter where it is small */
const scaled = (value) => Math.log1p(value) / 4;

/** @param {number} distance */
const signed = (distance) => Math.sign(distance) * scaled(Math.min(Math.abs(distance), REACH));

/** The square around a click, and the numbers from which the rule tells what belongs to it. */
export class Neighbourhood {
  /**
   * @param {Picture} picture
   * @param {number} x column of the click
   * @param {number} y row of the click
   */
  constructor(picture, x, y) {
    const left = Math.max(0, x - REACH), top = Math.max(0, y - REACH);
    const right = Math.min(picture.width, x + REACH + 1), bottom = Math.min(picture.height, y + REACH + 1);
    this.width = right - left + 2; // with a border of one pixel
    this.height = bottom - top + 2;
    /** @param {Uint8Array} image @param {number} border */
    const cut = (image, border) => {
      const part = new Uint8Array(this.width * this.height).fill(border);
      for (let row = top; row < bottom; row++) {
        const line = image.subarray(row * picture.width + left, row * picture.width + right);
        part.set(line, (row - top + 1) * this.width + 1);
      }
      return part;
    };
    this.origin = { x: left - 1, y: top - 1 };
    this.click = (y - top + 1) * this.width + x - left + 1;
    this.mask = cut(picture.mask, NEITHER);
    this.intensity = cut(picture.intensity, 0);
    this.probability = cut(picture.probability, 0);
    /** Whether the click takes away; it does in the mask. */
    this.removes = this.mask[this.click] === 1;
    this.earlier = picture.clicks.map((click) => ({ x: click.x - left + 1, y: click.y - top + 1, adds: click.adds }));
    this.distance = signedDistance(this.mask, this.width);
    const domain = this.mask.map((inside) => (inside === 1 || (inside === 0 && !this.removes) ? 1 : 0));
    const landscapes = [this.intensity, this.probability];
    if (this.removes) landscapes.push(...landscapes.map((values) => values.map((value) => 255 - value)));
    this.floods = landscapes.map((heights) => flood(heights, domain, this.width, this.click));
    this.floodArea = this.floods.map(({ area }) => Float32Array.from(area, (count) => Math.log1p(count) / 10));
    this.ofClick = this.#describeClick();
  }

  #describeClick() {
    const { click } = this, x = click % this.width, y = (click - x) / this.width;
    return {
      x, y,
      numbers: [
        this.intensity[click] / 255,
        LOGIT[this.probability[click]],
        signed(this.distance[click]),
        this.floodArea[0][this.intensity[click]],
        this.floodArea[1][this.probability[click]],
        this.#toEarlier(x, y, !this.removes),
      ],
    };
  }

  /**
   * Describe a pixel.
   * @param {number} pixel that the floods reached
   * @param {Float32Array} row is filled with FEATURES numbers
   */
  describe(pixel, row) {
    const x = pixel % this.width, y = (pixel - x) / this.width, { ofClick } = this;
    const [down, downP] = this.floods.map(({ level }) => Math.max(0, level[pixel]));
    row.set(ofClick.numbers);
    let n = ofClick.numbers.length;
    row[n++] = this.intensity[pixel] / 255;
    row[n++] = LOGIT[this.probability[pixel]];
    row[n++] = this.#mean(this.intensity, x, y) / 255;
    row[n++] = LOGIT[Math.round(this.#mean(this.probability, x, y))];
    row[n++] = scaled(Math.hypot(x - ofClick.x, y - ofClick.y));
    row[n++] = signed(this.distance[pixel]);
    row[n++] = this.#toEarlier(x, y, this.removes);
    row[n++] = this.#toEarlier(x, y, !this.removes);
    row[n++] = down / 255;
    row[n++] = LOGIT[downP];
    row[n++] = this.floodArea[0][down];
    row[n++] = this.floodArea[1][downP];
    for (let which = 2; which < this.floods.length; which++) {
      const level = Math.max(0, this.floods[which].level[pixel]);
      row[n++] = level / 255;
      row[n++] = this.floodArea[which][level];
    }
  }

  /**
   * The distance to the nearest earlier click of a kind.
   * @param {number} x
   * @param {number} y
   * @param {boolean} adds
   */
  #toEarlier(x, y, adds) {
    let nearest = REACH;
    for (const click of this.earlier) {
      if (click.adds === adds) nearest = Math.min(nearest, Math.hypot(x - click.x, y - click.y));
    }
    return scaled(nearest);
  }

  /**
   * @param {Uint8Array} values
   * @param {number} x
   * @param {number} y
   */
  #mean(values, x, y) {
    const left = Math.max(1, x - MEAN), right = Math.min(this.width - 2, x + MEAN);
    const top = Math.max(1, y - MEAN), bottom = Math.min(this.height - 2, y + MEAN);
    let sum = 0;
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) sum += values[row * this.width + column];
    }
    return sum / ((right - left + 1) * (bottom - top + 1));
  }
}

// @ts-check
import { signedDistance } from "./distance.js";
import { flood } from "./flood.js";
import { LocalMeans, localMaxima } from "./local.js";
import { errorAround, OutlineLevels } from "./outline_levels.js";
/** @typedef {import("./grow.js").Picture} Picture */

const REACH = 96; // pixels on each side of a click that it may change
const NEITHER = 2; // of a mask: outside of the image
const RADII = [2, 6, 12]; // pixels on each side over which local means are taken
const PEAK = 6; // pixels on each side within which the highest value counts as the lesion's peak

/** How many numbers describe a pixel. */
export const FEATURES = 50;

/** The share of 255. */
const SHARE = Float32Array.from({ length: 256 }, (_, value) => value / 255);

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
    /** @param {Uint8Array} values */
    const means = (values) => new LocalMeans(values, this.width);
    this.means = {
      intensity: means(this.intensity),
      probability: means(this.probability),
      marked: means(this.mask.map((value) => (value === 1 ? 1 : 0))),
    };
    this.peak = localMaxima(this.intensity, this.width, PEAK);
    this.peakProbability = localMaxima(this.probability, this.width, PEAK);
    this.floods = this.#flood();
    this.outlines = new OutlineLevels(this.mask, this.width, [
      (pixel) => this.intensity[pixel], (pixel) => this.probability[pixel], (pixel) => 255 * this.#ofPeak(pixel),
    ]);
    this.error = errorAround(this);
    this.ofClick = [...this.#describeError(), ...this.#describeClick(), ...levelsOf(picture, { x, y, adds: !this.removes })];
  }

  /** Flood from the click: what it describes a pixel by are the level at which it is reached, and that level's area. */
  #flood() {
    const smooth = this.means.intensity.all(RADII[0]);
    /** @type {[Uint8Array, Float32Array][]} with the scale of their numbers */
    const landscapes = [[this.intensity, SHARE], [this.probability, LOGIT], [smooth, SHARE]];
    const domain = this.mask.map((inside) => (inside === 1 || (inside === 0 && !this.removes) ? 1 : 0));
    return landscapes.map(([heights, scale]) => {
      const { level, area } = flood(heights, domain, this.width, this.click);
      return { level, scale, area: Float32Array.from(area, (count) => Math.log1p(count) / 10) };
    });
  }

  /** @param {number} pixel @returns {number} its share of the highest intensity nearby */
  #ofPeak(pixel) {
    return this.intensity[pixel] / (this.peak[pixel] + 1);
  }

  /** How bright the error is, the levels at which it ends, and those of the outlines around the click. */
  #describeError() {
    const { inside, beyond } = this.error, values = [...inside, this.click].map((pixel) => this.intensity[pixel]);
    /** @param {(pixel: number) => number} value */
    const mean = (value) => beyond.reduce((sum, pixel) => sum + value(pixel), 0) / Math.max(1, beyond.length);
    const x = this.click % this.width;
    return [
      mean((pixel) => this.intensity[pixel]) / 255,
      LOGIT[Math.round(mean((pixel) => this.probability[pixel]))],
      mean((pixel) => this.#ofPeak(pixel)),
      beyond.length ? 1 : 0,
      Math.min(...values) / 255,
      Math.max(...values) / 255,
      ...this.#outlineAt(x, (this.click - x) / this.width),
    ];
  }

  /** @param {number} x @param {number} y @returns {number[]} levels of the outlines around, and whether there are any */
  #outlineAt(x, y) {
    const levels = this.outlines.at(x, y);
    return levels ? [levels[0] / 255, LOGIT[Math.round(levels[1])], levels[2] / 255, 1] : [0, 0, 0, 0];
  }

  #describeClick() {
    const { click } = this, x = click % this.width, y = (click - x) / this.width;
    return [
      this.intensity[click] / 255,
      LOGIT[this.probability[click]],
      this.means.intensity.at(x, y, RADII[0]) / 255,
      this.#ofPeak(click),
      signed(this.distance[click]),
      this.floods[0].area[this.intensity[click]],
      this.floods[1].area[this.probability[click]],
      this.#toEarlier(x, y, !this.removes),
    ];
  }

  /**
   * Describe a pixel.
   * @param {number} pixel
   * @param {Float32Array} row is filled with FEATURES numbers
   */
  describe(pixel, row) {
    const { width, click, means } = this, x = pixel % width, y = (pixel - x) / width;
    row.set(this.ofClick);
    let n = this.ofClick.length;
    row[n++] = this.intensity[pixel] / 255;
    row[n++] = LOGIT[this.probability[pixel]];
    for (const radius of RADII) {
      row[n++] = means.intensity.at(x, y, radius) / 255;
      row[n++] = LOGIT[Math.round(means.probability.at(x, y, radius))];
      row[n++] = means.marked.at(x, y, radius);
    }
    row[n++] = this.#ofPeak(pixel);
    row[n++] = this.peak[pixel] / 255;
    row[n++] = LOGIT[this.peakProbability[pixel]];
    const far = Math.hypot(x - (click % width), y - Math.floor(click / width));
    row[n++] = scaled(far);
    row[n++] = signed(far - this.error.radius);
    row[n++] = signed(this.distance[pixel]);
    for (const level of this.#outlineAt(x, y).slice(0, 3)) row[n++] = level;
    row[n++] = this.#toEarlier(x, y, this.removes);
    row[n++] = this.#toEarlier(x, y, !this.removes);
    for (const { level, scale, area } of this.floods) {
      const reached = Math.max(0, level[pixel]);
      row[n++] = scale[reached];
      row[n++] = area[reached];
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
}

/**
 * What the clicks tell of the levels at which the reader draws: the lowest that was added, the highest that was removed.
 * @param {Picture} picture
 * @param {import("./grow.js").Click} now
 */
function levelsOf({ width, intensity, probability, clicks }, now) {
  let [low, lowP, high, highP] = [1, LOGIT[255], 0, LOGIT[0]];
  for (const { x, y, adds } of [...clicks, now]) {
    const pixel = y * width + x, level = intensity[pixel] / 255, p = LOGIT[probability[pixel]];
    if (adds) [low, lowP] = [Math.min(low, level), Math.min(lowP, p)];
    else [high, highP] = [Math.max(high, level), Math.max(highP, p)];
  }
  return [low, lowP, high, highP];
}

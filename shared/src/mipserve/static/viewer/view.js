// @ts-check
/** @typedef {import("./types.js").Point} Point */

const MARGIN = 12; // CSS pixels around the whole image
const MAX_SCALE = 32;

/** Which part of the image is seen: screen = scale * image + offset, in CSS pixels of the canvas. */
export class View {
  scale = 1;
  x = 0;
  y = 0;
  #screen = { width: 0, height: 0 };
  #image = { width: 0, height: 0 };
  #isFitted = true;

  /** Whether the whole image is in sight, as `fit` shows it. */
  get isFitted() {
    return this.#isFitted;
  }

  /**
   * Take note of another image, which is shown whole.
   * @param {number} width
   * @param {number} height
   */
  setImage(width, height) {
    this.#image = { width, height };
    this.fit();
  }

  /**
   * Take note of another size of the canvas; what is seen stays in the middle.
   * @param {number} width CSS pixels
   * @param {number} height CSS pixels
   */
  setScreen(width, height) {
    const [dx, dy] = [(width - this.#screen.width) / 2, (height - this.#screen.height) / 2];
    this.#screen = { width, height };
    if (this.#isFitted) this.fit();
    else this.pan(dx, dy);
  }

  /** Show the whole image. */
  fit() {
    const { width, height } = this.#screen;
    this.scale = this.#fitScale();
    this.x = (width - this.scale * this.#image.width) / 2;
    this.y = (height - this.scale * this.#image.height) / 2;
    this.#isFitted = true;
  }

  /**
   * @param {number} dx CSS pixels
   * @param {number} dy CSS pixels
   */
  pan(dx, dy) {
    this.x = keep(this.x + dx, this.#screen.width, this.scale * this.#image.width);
    this.y = keep(this.y + dy, this.#screen.height, this.scale * this.#image.height);
    this.#isFitted = false;
  }

  /**
   * Zoom around a point of the screen, which stays where it is.
   * @param {number} factor above 1: closer
   * @param {Point} [at] CSS pixels; the middle without it
   */
  zoom(factor, at = { x: this.#screen.width / 2, y: this.#screen.height / 2 }) {
    const scale = Math.min(Math.max(this.scale * factor, this.#fitScale()), MAX_SCALE);
    if (scale <= this.#fitScale()) return this.fit();
    const change = scale / this.scale;
    this.scale = scale;
    [this.x, this.y] = [at.x - change * (at.x - this.x), at.y - change * (at.y - this.y)];
    this.pan(0, 0);
  }

  /**
   * Bring a place of the image to the middle, at least this close.
   * @param {Point} place
   * @param {number} scale
   */
  show(place, scale) {
    this.scale = Math.min(Math.max(this.scale, scale), MAX_SCALE);
    [this.x, this.y] = [this.#screen.width / 2 - this.scale * place.x, this.#screen.height / 2 - this.scale * place.y];
    this.pan(0, 0);
  }

  /**
   * Show what another view shows, wherever that lies.
   * @param {{scale: number, x: number, y: number}} place
   * @returns {boolean} whether that is elsewhere
   */
  moveTo({ scale, x, y }) {
    const isElsewhere = Math.max(Math.abs(scale / this.scale - 1), Math.abs(x - this.x), Math.abs(y - this.y)) > 1e-6;
    if (isElsewhere) [this.scale, this.x, this.y, this.#isFitted] = [scale, x, y, false];
    return isElsewhere;
  }

  /**
   * @param {Point} point CSS pixels of the canvas
   * @returns {Point} pixels of the image
   */
  toImage(point) {
    return { x: (point.x - this.x) / this.scale, y: (point.y - this.y) / this.scale };
  }

  #fitScale() {
    const across = (this.#screen.width - 2 * MARGIN) / Math.max(1, this.#image.width);
    const down = (this.#screen.height - 2 * MARGIN) / Math.max(1, this.#image.height);
    return Math.max(0.05, Math.min(across, down));
  }
}

/**
 * Keep an image on the screen: in the middle where there is room for all of it, else without a gap at its edges.
 * @param {number} offset
 * @param {number} screen
 * @param {number} image
 */
function keep(offset, screen, image) {
  if (image <= screen) return (screen - image) / 2;
  return Math.min(MARGIN, Math.max(screen - image - MARGIN, offset));
}

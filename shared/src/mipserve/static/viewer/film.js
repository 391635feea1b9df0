// @ts-check
import { chosenIn3d } from "./chosen.js";
import { at, input, onclick } from "./dom.js";
import { strokeChosen } from "./layers.js";
import { traceOutline } from "./outline.js";
import { canvasOf } from "./pixels.js";
import { greys } from "./window.js";
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Film} Film */

const TURN_MS = 3600;
const COLOUR = 0.75; // opacity of the lesions
const SIDES = ["front", "front left", "left", "back left", "back", "back right", "right", "front right"];

/** The projections of a volume from all around, as a film that turns. */
export class FilmPlayer {
  #angle = 0;
  /** @type {number | null} the time at which the angle was 0; null while it stands */
  #since = null;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.canvas = /** @type {HTMLCanvasElement} */ (at("film-picture"));
    this.slider = input("film-angle");
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
    onclick("film-play", () => (this.#since === null ? this.play() : this.pause()));
    this.slider.addEventListener("input", () => {
      this.pause();
      this.#turn(Number(this.slider.value));
    });
    input("film-colour").addEventListener("change", () => this.#draw());
    this.canvas.addEventListener("click", (event) => this.#choose(event));
    store.subscribe(["look", "volume", "darkIsHot", "window", "lesion3d", "selected"], () => this.#draw());
    store.subscribe(["look", "volume"], ({ look, volume }) => {
      if (look !== "film" || !volume) this.pause();
      else if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.play();
    });
  }

  play() {
    this.#since = performance.now() - (this.#angle / 360) * TURN_MS;
    this.#label();
    requestAnimationFrame((now) => this.#step(now));
  }

  pause() {
    this.#since = null;
    this.#label();
  }

  /** @param {number} now milliseconds, of this frame */
  #step(now) {
    const { volume } = this.store.state;
    if (this.#since === null || !volume) return;
    const step = 360 / volume.film.angles, turned = (Math.max(0, now - this.#since) / TURN_MS) * 360;
    const angle = (Math.floor(turned / step) * step) % 360;
    if (angle !== this.#angle) this.#turn(angle);
    requestAnimationFrame((next) => this.#step(next));
  }

  /** @param {number} angle degrees from the front by way of the patient's left */
  #turn(angle) {
    this.#angle = angle;
    this.#draw();
  }

  #label() {
    at("film-play").textContent = this.#since === null ? "Play" : "Pause";
  }

  #resize() {
    this.canvas.width = Math.round(this.canvas.clientWidth * devicePixelRatio);
    this.canvas.height = Math.round(this.canvas.clientHeight * devicePixelRatio);
    this.#draw();
  }

  /**
   * The frame of the angle, and from its pixels to those of the canvas.
   * @param {Film} film
   */
  #frame({ angles, frames, columns, framePx: [rows, pixels], pixelMm: [dz, dx] }) {
    const { width, height } = this.canvas, place = Math.round(this.#angle / (360 / angles)), frame = place % frames;
    const scale = Math.min(width / (pixels * dx), height / (rows * dz));
    const across = place < frames ? scale * dx : -scale * dx; // from behind the same projection is seen mirrored
    const matrix = new DOMMatrix([across, 0, 0, scale * dz, (width - pixels * across) / 2, (height - rows * scale * dz) / 2]);
    return { x: (frame % columns) * pixels, y: Math.floor(frame / columns) * rows, matrix };
  }

  #draw() {
    const { look, volume } = this.store.state, pen = this.canvas.getContext("2d");
    if (look !== "film" || !volume || !pen) return;
    const words = `${this.#angle}°, seen from the ${SIDES[Math.round(this.#angle / 45) % 8]}`;
    at("film-words").textContent = words;
    this.slider.value = String(this.#angle);
    this.slider.setAttribute("aria-valuetext", words);
    pen.resetTransform();
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.imageSmoothingQuality = "high";
    const { film } = volume, { x, y, matrix } = this.#frame(film);
    const intensity = cut(film, film.intensity, x, y), numbers = cut(film, film.numbers, x, y);
    pen.setTransform(matrix);
    pen.drawImage(this.#paint(film, intensity, numbers), 0, 0);
    pen.resetTransform();
    const chosen = chosenIn3d(this.store.state), path = new Path2D();
    path.addPath(traceOutline(numbers, film.framePx[1], (number) => chosen.has(number)), matrix);
    if (chosen.size > 0) strokeChosen(pen, path, 1 / devicePixelRatio);
  }

  /**
   * @param {Film} film
   * @param {Uint8Array} intensity of a frame
   * @param {Uint8Array} numbers of the lesions there
   */
  #paint({ framePx: [height, width], palette }, intensity, numbers) {
    const canvas = canvasOf(width, height), picture = new ImageData(width, height), grey = greys(this.store.state);
    const share = input("film-colour").checked ? COLOUR : 0;
    for (let pixel = 0; pixel < intensity.length; pixel++) {
      const value = grey[intensity[pixel]], number = numbers[pixel], colour = palette[(number - 1) % palette.length];
      for (let band = 0; band < 3; band++) {
        picture.data[4 * pixel + band] = number > 0 ? value + share * (colour[band] - value) : value;
      }
      picture.data[4 * pixel + 3] = 255;
    }
    canvas.getContext("2d")?.putImageData(picture, 0, 0);
    return canvas;
  }

  /** @param {MouseEvent} event on a lesion, which is chosen, or beside all of them */
  #choose({ offsetX, offsetY }) {
    const { volume } = this.store.state;
    if (!volume) return;
    const { film } = volume, { x, y, matrix } = this.#frame(film), [height, width] = film.framePx;
    const ratio = this.canvas.width / this.canvas.clientWidth;
    const place = matrix.inverse().transformPoint({ x: ratio * offsetX, y: ratio * offsetY });
    const [column, row] = [Math.floor(place.x), Math.floor(place.y)];
    const isInside = column >= 0 && row >= 0 && column < width && row < height;
    const lesion3d = isInside ? cut(film, film.numbers, x, y)[row * width + column] : 0;
    this.store.update({ selected: 0, lesion3d });
  }
}

/**
 * @param {Film} film
 * @param {Uint8Array} sheet of all frames
 * @param {number} x of a frame's first pixel
 * @param {number} y
 * @returns {Uint8Array} the frame
 */
function cut({ framePx: [height, width], columns }, sheet, x, y) {
  const frame = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const start = (y + row) * columns * width + x;
    frame.set(sheet.subarray(start, start + width), row * width);
  }
  return frame;
}

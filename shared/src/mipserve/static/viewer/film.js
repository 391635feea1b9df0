// @ts-check
import { at, input, onclick } from "./dom.js";
/** @typedef {import("./types.js").State} State */

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
    store.subscribe(["look", "volume", "darkIsHot"], () => this.#draw());
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
    if (this.#since === null || !volume?.film) return;
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

  #draw() {
    const { look, volume, darkIsHot } = this.store.state, { width, height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    if (look !== "film" || !volume?.film || !pen) return;
    const words = `${this.#angle}°, seen from the ${SIDES[Math.round(this.#angle / 45) % 8]}`;
    at("film-words").textContent = words;
    this.slider.value = String(this.#angle);
    this.slider.setAttribute("aria-valuetext", words);
    pen.resetTransform();
    pen.clearRect(0, 0, width, height);
    pen.imageSmoothingQuality = "high";
    const { grey, colours, angles, frames, columns, framePx: [rows, pixels], pixelMm: [dz, dx] } = volume.film;
    const place = Math.round(this.#angle / (360 / angles)), frame = place % frames;
    const scale = Math.min(width / (pixels * dx), height / (rows * dz));
    // From behind the same projection is seen mirrored.
    pen.setTransform(place < frames ? scale * dx : -scale * dx, 0, 0, scale * dz, width / 2, height / 2);
    const [x, y] = [(frame % columns) * pixels, Math.floor(frame / columns) * rows];
    /** @type {(picture: ImageBitmap) => void} */
    const put = (picture) => pen.drawImage(picture, x, y, pixels, rows, -pixels / 2, -rows / 2, pixels, rows);
    put(grey);
    if (!darkIsHot) invert(pen, pixels, rows);
    if (!input("film-colour").checked) return;
    pen.globalAlpha = COLOUR;
    put(colours);
    pen.globalAlpha = 1;
  }
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {number} width of what is drawn around 0
 * @param {number} height
 */
function invert(pen, width, height) {
  pen.globalCompositeOperation = "difference";
  pen.fillStyle = "white";
  pen.fillRect(-width / 2, -height / 2, width, height);
  pen.globalCompositeOperation = "source-over";
}

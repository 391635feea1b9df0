// @ts-check
import { ServiceError } from "./problem.js";
import { compareWith, readMask } from "./reference.js";
import { predict, segment } from "./service.js";
import { START } from "./types.js";
/** @typedef {import("./types.js").State} State */

/** Opens files one at a time: the newest is shown, and an older one that is still on its way is given up. */
export class Opener {
  /** @type {AbortController | null} of what is on its way or shown; a volume's job ends with it */
  #running = null;
  /** @type {Blob | null} */
  #file = null;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    addEventListener("pagehide", () => this.#running?.abort());
  }

  /**
   * Show an image. A mask that comes with it, or after it, is its reference.
   * @param {Blob[]} files
   * @param {Partial<State>} [about] name and sample; else the file's own name
   */
  async open(files, about) {
    const masks = await Promise.all(files.map(readMask)), isShown = this.store.state.phase === "shown";
    const image = files.find((_, place) => !masks[place]) ?? (isShown ? undefined : files[0]);
    const mask = masks.find((one, place) => one && files[place] !== image);
    if (image) await this.#show(image, about ?? { name: image instanceof File ? image.name : "image" }, null);
    if (mask) compareWith(this.store, mask);
  }

  /**
   * Segment the same image again.
   * @param {number | null} pixelSize millimetres, if known
   */
  async again(pixelSize) {
    const { name, sample, reference, compare } = this.store.state;
    if (this.#file) await this.#show(this.#file, { name, sample, reference, compare }, pixelSize);
  }

  /** Show the mask of `/tumor/predict` instead of the built-in model's. */
  async predict() {
    const running = this.#running;
    if (!this.#file) return;
    const mask = await predict(this.#file);
    if (running === this.#running) this.store.update({ mask, clicks: [], edited: true });
  }

  /** Give up what is on its way. */
  cancel() {
    this.#running?.abort();
    this.#running = null;
    this.store.update({ ...START, ...this.#kept() });
  }

  /** What of the state stays from one image to the next: how it is looked at. */
  #kept() {
    const { darkIsHot, outline, fill, heat } = this.store.state;
    return { darkIsHot, outline, fill, heat };
  }

  /**
   * @param {Blob} file
   * @param {Partial<State>} about what is known of it
   * @param {number | null} pixelSize millimetres
   */
  async #show(file, about, pixelSize) {
    this.#running?.abort();
    const running = this.#running = new AbortController();
    this.#file = file;
    /** @type {(text: string, share: number | null) => void} */
    const onstep = (text, share) => this.store.update({ step: { text, share } });
    // First of all: nothing of the last image may stand under the new one's name.
    this.store.update({ ...START, ...this.#kept(), ...about, phase: "working" });
    onstep("Sending the file …", 0);
    try {
      const shown = await segment(file, { pixelSize, onstep, signal: running.signal });
      if (running === this.#running) this.store.update(shown);
    } catch (error) {
      if (running !== this.#running) return;
      const title = error instanceof ServiceError ? error.title : "This file can't be shown";
      const detail = error instanceof Error ? error.message : String(error);
      this.store.update({ phase: "failed", problem: { title, detail } });
    }
  }
}

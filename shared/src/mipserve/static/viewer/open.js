// @ts-check
import { asBaseline } from "./follow/compare.js";
import { checkSize } from "./folder.js";
import { ServiceError } from "./problem.js";
import { compareWith } from "./reference.js";
import { predict, segment } from "./service.js";
import { sort } from "./sort.js";
import { START } from "./types.js";
import { packZip } from "./zip.js";
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./folder.js").Given} Given */
/** @typedef {import("./sort.js").Sorted} Sorted */

/** @type {Sorted} */
const NOTHING = { scans: [], masks: [], leftOut: "" };

/** Opens files one at a time: the newest is shown, and an older one that is still on its way is given up. */
export class Opener {
  /** @type {AbortController | null} of what is on its way or shown; a volume's job ends with it */
  #running = null;
  /** @type {Promise<Sorted> | null} what came last */
  #newest = null;
  /** @type {Blob | null} what was sent last */
  #file = null;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    addEventListener("pagehide", () => this.#running?.abort());
    addEventListener("pageshow", ({ persisted }) => {
      const { phase, volume } = store.state;
      if (persisted && (phase !== "shown" || volume)) location.reload(); // its job has ended; an image needs none
    });
  }

  /** Of what is on its way or shown: aborted with it. @returns {AbortSignal | undefined} */
  get signal() {
    return this.#running?.signal;
  }

  /**
   * Show an image or a volume. A mask that comes with an image, or after it, is its reference.
   * @param {Given} given
   * @param {Partial<State>} [about] what is known of it; else it is named by its file or folder
   */
  async open({ files, name }, about) {
    const sorted = this.#newest = Promise.resolve(files).then(sort);
    if (name) return this.#show(sorted, { name, ...about }, null);
    const { scans, masks } = await sorted.catch(() => NOTHING); // `#show` tells what was wrong
    if (sorted !== this.#newest) return;
    if (scans.length === 0 && masks.length > 0 && this.store.state.phase === "shown" && !about?.baseline) {
      return compareWith(this.store, masks[0]);
    }
    const own = scans.length > 1 ? `${scans.length} files` : scans[0]?.name ?? "";
    await this.#show(sorted, { name: own, ...about }, null);
  }

  /**
   * Show a later scan beside what is shown, or beside the baseline that this was compared with.
   * @param {Given} given
   */
  async openLater(given) {
    const { state } = this.store;
    await this.open(given, { baseline: state.baseline ?? asBaseline(state) });
  }

  /**
   * Segment the same image again.
   * @param {number | null} pixelSize millimetres, if known
   */
  async again(pixelSize) {
    const { name, sample, reference, compare, baseline } = this.store.state;
    const same = this.#file && Promise.resolve({ ...NOTHING, scans: [this.#file] });
    if (same) await this.#show(same, { name, sample, reference, compare, baseline }, pixelSize);
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
    this.#running = this.#newest = null;
    this.store.update({ ...START, ...this.#kept() });
  }

  /** What of the state stays from one image to the next: how it is looked at. */
  #kept() {
    const { darkIsHot, outline, fill, heat } = this.store.state;
    return { darkIsHot, outline, fill, heat };
  }

  /**
   * @param {Promise<Omit<Sorted, "scans"> & {scans: Blob[]}>} sorted
   * @param {Partial<State>} about what is known of it
   * @param {number | null} pixelSize millimetres
   */
  async #show(sorted, about, pixelSize) {
    this.#running?.abort();
    const running = this.#running = new AbortController(), { signal } = running;
    /** @type {(text: string, share: number | null) => void} */
    const onstep = (text, share) => {
      if (running === this.#running) this.store.update({ step: { text, share } });
    };
    // First of all: nothing of the last image may stand under the new one's name.
    this.store.update({ ...START, ...this.#kept(), ...about, phase: "working" });
    onstep("Reading the files …", null);
    try {
      const { scans, masks, leftOut } = await sorted;
      checkSize(scans);
      const file = scans.length === 1 ? scans[0] : await packZip(scans, (share) => onstep("Packing the files …", share), signal);
      signal.throwIfAborted();
      this.#file = file;
      onstep("Sending the file …", 0);
      const shown = await segment(file, { pixelSize, onstep, signal });
      if (running !== this.#running) return;
      this.store.update({ ...shown, leftOut });
      if (masks.length > 0) compareWith(this.store, masks[0]);
    } catch (error) {
      if (running !== this.#running) return;
      const title = error instanceof ServiceError ? error.title : "This file can't be shown";
      const detail = error instanceof Error ? error.message : String(error);
      this.store.update({ phase: "failed", problem: { title, detail } });
    }
  }
}

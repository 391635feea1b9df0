// @ts-check
import { History } from "./history.js";
/** @typedef {import("../types.js").State} State */
/** @typedef {Pick<State, "mask" | "clicks" | "edited" | "threshold">} Step */

/** @param {State} state @returns {Step} what a correction changes */
const stepOf = ({ mask, clicks, edited, threshold }) => ({ mask, clicks, edited, threshold });

/** Changes the mask by hand, with a way back. */
export class Editor {
  /** @type {History<Step>} */
  #history = new History();
  /** @type {Step} */
  #known; // what was last seen or made here

  /** @param {import("../store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.#known = stepOf(store.state);
    /** Called when there is more or less to undo. */
    this.onchange = () => {};
    store.subscribe(["intensity"], () => {
      this.#history.clear();
      this.#known = stepOf(this.store.state);
      this.onchange();
    });
    // The slider starts from the probabilities again; what was corrected before can be had back.
    store.subscribe(["mask"], (state) => {
      if (state.mask === this.#known.mask) return;
      if (this.#known.edited) this.#history.record(this.#known);
      this.#known = stepOf(state);
      this.onchange();
    });
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  /**
   * Change the mask.
   * @param {Iterable<number>} pixels
   * @param {boolean} adds whether they are tumour from now on
   * @param {import("./grow.js").Click} [click] that led to it
   */
  correct(pixels, adds, click) {
    const { state } = this.store, mask = state.mask.slice();
    for (const pixel of pixels) mask[pixel] = adds ? 1 : 0;
    if (mask.every((value, pixel) => value === state.mask[pixel])) return;
    this.#history.record(stepOf(state));
    this.#set({ ...stepOf(state), mask, clicks: click ? [...state.clicks, click] : state.clicks, edited: true });
  }

  undo() {
    this.#set(this.#history.undo(stepOf(this.store.state)));
  }

  redo() {
    this.#set(this.#history.redo(stepOf(this.store.state)));
  }

  /** @param {Step} step */
  #set(step) {
    this.#known = step;
    this.store.update(step);
    this.onchange();
  }
}

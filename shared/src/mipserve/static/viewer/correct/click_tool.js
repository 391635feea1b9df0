// @ts-check
import { correctionAt } from "./grow.js";
/** @typedef {import("../types.js").Point} Point */
/** @typedef {import("../types.js").State} State */

const DRAG = 60; // CSS pixels that a pointer is dragged sideways for one more or less of the log odds
const STEP = 0.5; // of the log odds, for one press of a key

/** A click adds a lesion, or removes one; what it would do is shown until it is released. */
export class ClickTool {
  cursor = "crosshair";
  #more = 0;
  /** @type {{clientX: number, more: number} | null} */
  #pressed = null;
  /** @type {{key: string, mask: Uint8Array, correction: import("./grow.js").Correction} | null} the last proposal */
  #last = null;
  /** @type {Point | null} where the pointer is, in pixels and parts of them */
  place = null;

  /** @param {import("./editor.js").Editor} editor */
  constructor(editor) {
    this.editor = editor;
  }

  /**
   * What a click at the tool's place does.
   * @param {State} state
   * @returns {import("./grow.js").Correction | null} null: it is outside of the image
   */
  proposal(state) {
    if (!this.place) return null;
    const x = Math.floor(this.place.x), y = Math.floor(this.place.y), key = `${x} ${y} ${this.#more}`;
    if (x < 0 || y < 0 || x >= state.width || y >= state.height) return null;
    if (this.#last?.key !== key || this.#last.mask !== state.mask) {
      this.#last = { key, mask: state.mask, correction: correctionAt(state, x, y, this.#more) };
    }
    return this.#last.correction;
  }

  /** @param {number} steps above 0: the region is larger */
  resize(steps) {
    this.#more += STEP * steps;
  }

  /** @param {number} x @param {number} y @param {PointerEvent} event */
  down(x, y, event) {
    this.place = { x, y };
    this.#pressed = { clientX: event.clientX, more: this.#more };
  }

  /** @param {number} x @param {number} y @param {PointerEvent} event */
  move(x, y, event) {
    if (this.#pressed) this.#more = this.#pressed.more + (event.clientX - this.#pressed.clientX) / DRAG;
    else this.place = { x, y };
  }

  up() {
    this.#pressed = null;
    this.apply();
  }

  cancel() {
    this.#pressed = null;
    this.#more = 0;
    this.place = null;
  }

  /** Do what was proposed. */
  apply() {
    const { state } = this.editor.store, correction = this.proposal(state);
    if (correction) {
      const { adds, pixels } = correction, [pixel] = pixels, x = pixel % state.width;
      this.editor.correct(pixels, adds, { x, y: (pixel - x) / state.width, adds });
    }
    this.#more = 0;
    this.place = null; // what was just done is seen before the next proposal
  }
}

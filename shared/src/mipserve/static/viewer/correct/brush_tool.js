// @ts-check
import { strokePixels } from "./brush.js";
/** @typedef {import("../types.js").Point} Point */
/** @typedef {import("../types.js").State} State */

const RADII = [0.5, 1.7, 2.5, 4.7, 7, 10, 14, 20]; // pixels

/** Paints or wipes what a round brush passes; a stroke is one correction. */
export class BrushTool {
  cursor = "crosshair";
  #size = 3;
  /** @type {Set<number> | null} of the stroke that is being made */
  #stroke = null;
  /** @type {Point | null} where the pointer is, in pixels and parts of them */
  place = null;

  /**
   * @param {import("./editor.js").Editor} editor
   * @param {boolean} adds
   */
  constructor(editor, adds) {
    this.editor = editor;
    this.adds = adds;
  }

  get radius() {
    return RADII[this.#size];
  }

  /** @param {number} steps above 0: the brush is larger */
  resize(steps) {
    this.#size = Math.min(Math.max(this.#size + steps, 0), RADII.length - 1);
  }

  /**
   * What the stroke, or a dab at the tool's place, changes.
   * @param {State} state
   * @returns {{adds: boolean, pixels: Iterable<number>} | null}
   */
  proposal(state) {
    const pixels = this.#stroke ?? (this.place && strokePixels(state, this.place, this.place, this.radius));
    return pixels && { adds: this.adds, pixels };
  }

  /** @param {number} x @param {number} y */
  down(x, y) {
    this.#stroke = new Set();
    this.place = null;
    this.move(x, y);
  }

  /** @param {number} x @param {number} y */
  move(x, y) {
    const to = { x, y }, from = this.place ?? to;
    if (this.#stroke) {
      for (const pixel of strokePixels(this.editor.store.state, from, to, this.radius)) this.#stroke.add(pixel);
    }
    this.place = to;
  }

  up() {
    this.apply();
    this.#stroke = null;
  }

  cancel() {
    this.#stroke = null;
    this.place = null;
  }

  /** Do what was proposed. */
  apply() {
    const change = this.proposal(this.editor.store.state);
    if (change) this.editor.correct(change.pixels, change.adds);
    this.place = null; // what was just done is seen before the next proposal
  }
}

// @ts-check
import { at, input, onclick } from "./dom.js";
import { LEAST_WIDTH, WHOLE, dragged, windowOf, windowWords, within } from "./window.js";
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./store.js").Store} Store */

const SURFACES = ["picture", "baseline-picture", "film-picture", "planes-frame"];
const STEP = 20; // CSS pixels of a drag that an arrow key stands for
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };

/** Window and level by dragging, as a tool of the picture: sideways for the width, up and down for the level. */
export class WindowTool {
  cursor = "ns-resize";
  /** @type {{x: number, y: number, window: State["window"]} | null} */
  #pressed = null;

  /** @param {Store} store */
  constructor(store) {
    this.store = store;
  }

  /** @param {number} _x @param {number} _y @param {PointerEvent} event */
  down(_x, _y, event) {
    this.press(event);
  }

  /** @param {number} _x @param {number} _y @param {PointerEvent} event */
  move(_x, _y, event) {
    this.drag(event);
  }

  up() {
    this.#pressed = null;
  }

  cancel() {
    if (this.#pressed) this.store.update({ window: this.#pressed.window });
    this.#pressed = null;
  }

  /** @param {PointerEvent} event */
  press({ clientX: x, clientY: y }) {
    this.#pressed = { x, y, window: this.store.state.window };
  }

  /** @param {PointerEvent} event */
  drag({ clientX, clientY }) {
    if (!this.#pressed) return;
    const { x, y, window } = this.#pressed, { look } = this.store.state;
    this.store.update({ window: dragged({ window, look }, clientX - x, y - clientY) });
  }

  /** @param {[number, number]} step as if it had been dragged so far */
  nudge([dx, dy]) {
    this.store.update({ window: dragged(this.store.state, dx, dy) });
  }
}

/**
 * Everything that changes the window: the right mouse button on each picture, the tool, its keys, and two sliders.
 *
 * @param {import("./canvas.js").Canvas} canvas
 * @param {WindowTool} tool
 * @param {import("./keys.js").Key[]} keys of the picture
 */
export function connectWindow(canvas, tool, keys) {
  const { store } = canvas, reset = () => store.update({ window: WHOLE });
  for (const id of SURFACES) connectRightButton(at(id), tool);
  connectSliders(store);
  onclick("window-reset", reset);
  keys.push({ keys: ["r"], shown: "r", words: "the whole window of grey again", action: reset });
  keys.push({ keys: ["["], shown: "[", words: "show fainter uptake", action: () => lowerTop(store, 1) });
  keys.push({ keys: ["]"], shown: "]", words: "show stronger uptake alone", action: () => lowerTop(store, -1) });
  canvas.element.addEventListener("keydown", (event) => {
    if (canvas.tool !== tool || !(event.key in ARROWS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // the arrows move the picture otherwise
    tool.nudge(ARROWS[event.key]);
  }, { capture: true });
}

/**
 * @param {Store} store
 * @param {1 | -1} sign of the step by which the upper end of the window comes down
 */
function lowerTop(store, sign) {
  const { look } = store.state, { low, high } = windowOf(store.state);
  store.update({ window: within(look, low, low + (high - low) * 1.1 ** -sign) });
}

/**
 * @param {HTMLElement} surface
 * @param {WindowTool} tool
 */
function connectRightButton(surface, tool) {
  surface.addEventListener("contextmenu", (event) => event.preventDefault());
  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 2) return;
    event.stopImmediatePropagation(); // neither the picture's own nor NiiVue's
    surface.setPointerCapture(event.pointerId);
    tool.press(event);
    const stop = new AbortController(), { signal } = stop;
    surface.addEventListener("pointermove", (moved) => tool.drag(moved), { signal });
    for (const name of ["pointerup", "pointercancel"]) {
      surface.addEventListener(name, () => {
        tool.up();
        stop.abort();
      }, { signal });
    }
  }, { capture: true });
  surface.addEventListener("mousedown", (event) => event.button === 2 && event.stopImmediatePropagation(), { capture: true });
}

/** @param {Store} store */
function connectSliders(store) {
  const low = input("window-low"), high = input("window-high");
  low.addEventListener("input", () => {
    const { look } = store.state;
    store.update({ window: within(look, Number(low.value), windowOf(store.state).high) });
  });
  high.addEventListener("input", () => {
    const { look } = store.state, to = Number(high.value);
    store.update({ window: within(look, Math.min(windowOf(store.state).low, to - LEAST_WIDTH), to) });
  });
  store.subscribe(["window", "look", "volume"], (state) => {
    const shown = windowOf(state), words = windowWords(state);
    low.max = high.max = state.look === "planes" ? "5" : "1";
    [low.value, high.value] = [String(shown.low), String(shown.high)];
    for (const slider of [low, high]) slider.setAttribute("aria-valuetext", words);
    at("window-words").textContent = words;
    /** @type {HTMLButtonElement} */ (at("window-reset")).disabled = state.window === WHOLE;
  });
}

// @ts-check
import { colour } from "./pixels.js";
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Window} Window */

export const TOP_SUV = 6; // of the projections: what is hotter has been cut to it
const HIGHEST = { front: 1, film: 1, planes: 5 }; // of the upper end; the slices alone know more than SUV 6
export const LEAST_WIDTH = 0.02;
const DRAG = 200; // CSS pixels that widen it e times

/** @type {Window} */
export const WHOLE = Object.freeze({ low: 0, high: 1 });

/**
 * The window that a look shows: of a window beyond what it knows, the part that it knows.
 * @param {Pick<State, "window" | "look">} state
 * @returns {Window}
 */
export function windowOf({ window, look }) {
  const high = Math.min(window.high, HIGHEST[look]);
  return { low: Math.min(window.low, high - LEAST_WIDTH), high };
}

/**
 * Make a window wider and move it.
 * @param {Pick<State, "window" | "look">} state
 * @param {number} dx CSS pixels, to the right: wider, so with less contrast
 * @param {number} dy CSS pixels, upwards: to higher values
 * @returns {Window}
 */
export function dragged({ window, look }, dx, dy) {
  const shown = windowOf({ window, look }), width = shown.high - shown.low;
  const wider = Math.max(LEAST_WIDTH, width * Math.exp(dx / DRAG));
  const level = (shown.low + shown.high) / 2 + (dy / DRAG) * width;
  return within(look, level - wider / 2, level + wider / 2);
}

/**
 * @param {State["look"]} look
 * @param {number} low
 * @param {number} high
 * @returns {Window} the nearest that there is
 */
export function within(look, low, high) {
  const least = Math.min(Math.max(low, 0), HIGHEST[look] - LEAST_WIDTH);
  const most = Math.min(Math.max(high, least + LEAST_WIDTH), HIGHEST[look]);
  return least === WHOLE.low && most === WHOLE.high ? WHOLE : { low: least, high: most };
}

/**
 * The grey of each value from 0 (air) to 255 (the top of the scale).
 * @param {Pick<State, "window" | "look" | "darkIsHot">} state
 * @returns {Uint8Array} 256 of them
 */
export function greys(state) {
  const { low, high } = windowOf(state);
  return Uint8Array.from({ length: 256 }, (_, value) => {
    const grey = Math.round(255 * Math.min(Math.max((value / 255 - low) / (high - low), 0), 1));
    return state.darkIsHot ? 255 - grey : grey;
  });
}

/** @param {Pick<State, "window" | "look" | "darkIsHot">} state @returns {Uint32Array} `greys` as colours */
export const greyColours = (state) => Uint32Array.from(greys(state), (grey) => colour(grey, grey, grey));

/**
 * @param {Pick<State, "window" | "look" | "volume">} state
 * @returns {string} a window in words
 */
export function windowWords(state) {
  const { low, high } = windowOf(state);
  if (state.volume) return `SUV ${(TOP_SUV * low).toFixed(1)} to ${(TOP_SUV * high).toFixed(1)}`;
  return `intensity ${low.toFixed(2)} to ${high.toFixed(2)}`;
}

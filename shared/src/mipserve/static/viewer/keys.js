// @ts-check
import { at, make, onclick } from "./dom.js";
/** @typedef {import("./store.js").Store} Store */
/** @typedef {{keys: string[], shown: string, words: string, action: () => void}} Key */

const STEP = 60; // CSS pixels
const CLOSER = 1.25;

/**
 * Keys that work while the picture has the focus.
 *
 * @param {import("./canvas.js").Canvas} canvas
 * @param {import("./table.js").LesionTable} table
 * @returns {Key[]} more may be added
 */
export function connectKeys(canvas, table) {
  const { store } = canvas, help = /** @type {HTMLDialogElement} */ (at("keys"));
  /** @type {Key[]} */
  const keys = [
    { keys: ["ArrowLeft"], shown: "←", words: "move left", action: () => canvas.pan(STEP, 0) },
    { keys: ["ArrowRight"], shown: "→", words: "move right", action: () => canvas.pan(-STEP, 0) },
    { keys: ["ArrowUp"], shown: "↑", words: "move up", action: () => canvas.pan(0, STEP) },
    { keys: ["ArrowDown"], shown: "↓", words: "move down", action: () => canvas.pan(0, -STEP) },
    { keys: ["+", "="], shown: "+", words: "closer", action: () => canvas.zoom(CLOSER) },
    { keys: ["-", "_"], shown: "−", words: "farther", action: () => canvas.zoom(1 / CLOSER) },
    { keys: ["0"], shown: "0", words: "the whole image", action: () => canvas.fit() },
    { keys: ["n"], shown: "n", words: "next lesion", action: () => table.step(1) },
    { keys: ["p"], shown: "p", words: "previous lesion", action: () => table.step(-1) },
    { keys: ["Escape"], shown: "Esc", words: "no lesion; cancel", action: () => table.choose(0) },
    { keys: ["o"], shown: "o", words: "outlines", action: () => store.update({ outline: !store.state.outline }) },
    { keys: ["h"], shown: "h", words: "probabilities", action: () => store.update({ heat: !store.state.heat }) },
    { keys: ["?"], shown: "?", words: "this list", action: () => showHelp() },
  ];
  const showHelp = () => {
    at("key-list").replaceChildren(...keys.map(({ shown, words }) =>
      make("div", {}, make("dt", {}, make("kbd", {}, shown)), make("dd", {}, words))));
    help.showModal();
  };
  canvas.element.addEventListener("keydown", (event) => {
    const key = keys.find((one) => one.keys.includes(event.key));
    if (!key || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    key.action();
  });
  onclick("zoom-in", () => canvas.zoom(CLOSER));
  onclick("zoom-out", () => canvas.zoom(1 / CLOSER));
  onclick("zoom-fit", () => canvas.fit());
  onclick("help", showHelp);
  return keys;
}

// @ts-check
import { at } from "./dom.js";
import { TOP_SUV } from "./window.js";

/**
 * Say what the picture has under the pointer.
 * @param {import("./canvas.js").Canvas} canvas
 */
export function showReadout(canvas) {
  const { element, store } = canvas;
  const say = (/** @type {string} */ words) => { at("readout").textContent = words; };
  element.addEventListener("pointermove", (event) => {
    const { x, y } = canvas.place(event), { width, height } = store.state;
    const isInside = x >= 0 && y >= 0 && x < width && y < height;
    say(isInside ? wordsOf(store.state, Math.floor(y) * width + Math.floor(x)) : "");
  });
  element.addEventListener("pointerleave", () => say(""));
  store.subscribe(["intensity"], () => say(""));
}

/**
 * @param {import("./types.js").State} state
 * @param {number} pixel
 * @returns {string} intensity, of a volume the SUV, and probability of a tumour
 */
function wordsOf({ intensity, probability, volume }, pixel) {
  const share = intensity[pixel] / 255, more = share === 1 ? " or more" : "";
  const uptake = volume ? `SUV ${(TOP_SUV * share).toFixed(1)}${more}` : `intensity ${share.toFixed(2)}`;
  return `${uptake}, probability ${(probability[pixel] / 255).toFixed(2)}`;
}

// @ts-check
import { at, input } from "./dom.js";
import { heatColours } from "./layers.js";
/** @typedef {import("./store.js").Store} Store */

const SWITCHES = /** @type {const} */ ({ outline: "outline", heat: "heat", "dark-is-hot": "darkIsHot", compare: "compare" });
const MAX_MM = 100; // as the service

/**
 * How the image is looked at: what is drawn over it, and how large its pixels are.
 *
 * @param {Store} store
 * @param {(pixelSize: number | null) => void} onsize told another size of the pixels, in mm
 */
export function connectDisplay(store, onsize) {
  for (const [id, key] of Object.entries(SWITCHES)) {
    const box = input(id);
    box.addEventListener("change", () => store.update({ [key]: box.checked }));
    store.subscribe([key], (state) => { box.checked = state[key]; });
  }
  const fill = input("fill");
  fill.addEventListener("input", () => store.update({ fill: Number(fill.value) }));
  store.subscribe(["fill"], (state) => { fill.value = String(state.fill); });
  store.subscribe(["heat"], ({ heat }) => { at("heat-legend").hidden = !heat; });
  drawLegend();
  connectPixelSize(store, onsize);
}

function drawLegend() {
  const pen = /** @type {HTMLCanvasElement} */ (at("heat-scale")).getContext("2d");
  pen?.putImageData(new ImageData(new Uint8ClampedArray(heatColours().buffer), 256, 1), 0, 0);
}

/**
 * @param {Store} store
 * @param {(pixelSize: number | null) => void} onsize
 */
function connectPixelSize(store, onsize) {
  const field = input("pixel-size"), words = at("spacing-words");
  at("spacing").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim().replace(",", "."), size = Number(text);
    const isWrong = text !== "" && !(size > 0 && size <= MAX_MM);
    field.setAttribute("aria-invalid", String(isWrong));
    words.classList.toggle("bad", isWrong);
    if (isWrong) words.textContent = `Enter the millimetres of a pixel's side, above 0 and at most ${MAX_MM}.`;
    else onsize(text === "" ? null : size);
  });
  store.subscribe(["spacing", "answer"], ({ spacing }) => {
    field.value = spacing ? String(spacing[0]) : "";
    field.setAttribute("aria-invalid", "false");
    words.classList.remove("bad");
    words.textContent = spacing ? "Areas and the scale bar follow from it."
      : "About 2 mm is assumed. Enter the true size for areas in cm² and a scale bar; the image is then segmented again.";
  });
}

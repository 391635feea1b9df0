// @ts-check
import { at } from "./dom.js";
import { count, percent } from "./format.js";
/** @typedef {import("./types.js").State} State */

const LENGTHS_MM = [10, 20, 50, 100, 200, 500];
const LONGEST = 140; // CSS pixels of the scale bar

/**
 * What stands around the picture, or in its place.
 *
 * @param {import("./canvas.js").Canvas} canvas
 */
export function showStage(canvas) {
  const { store } = canvas;
  store.subscribe(["phase", "name"], ({ phase, name }) => {
    document.body.dataset.phase = phase;
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-when]"))) {
      part.hidden = part.dataset.when !== phase;
    }
    at("name").textContent = name;
    document.title = name ? `${name} - MIPseg` : "MIPseg";
    if (phase === "shown") canvas.element.focus({ preventScroll: true });
  });
  store.subscribe(["step"], ({ step: { text, share } }) => {
    at("step").textContent = text;
    const bar = /** @type {HTMLProgressElement} */ (at("progress"));
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  });
  store.subscribe(["problem"], ({ problem }) => {
    at("problem-title").textContent = problem?.title ?? "";
    at("problem-detail").textContent = problem?.detail ?? "";
  });
  store.subscribe(["answer", "lesions"], ({ answer, lesions, name }) => {
    const words = answer && `${name}: ${count(lesions.length, "lesion")}, a tumour is ${percent(answer.classification.probability)} probable`;
    canvas.element.setAttribute("aria-label", words ?? "No image");
  });
  store.subscribe(["answer"], ({ answer }) => {
    // Of a body that lies or stands on its head nobody here knows which side is which. Volumes add a sentence to the code.
    const isTurned = answer?.warnings.some((warning) => warning.split(":")[0] === "orientation") ?? false;
    at("right").hidden = at("left").hidden = isTurned;
  });
  canvas.onview.push(({ scale }) => showScale(store.state, scale));
}

/**
 * @param {State} state
 * @param {number} scale CSS pixels per pixel
 */
function showScale({ spacing }, scale) {
  at("scale").hidden = !spacing;
  if (!spacing) return;
  const perMm = scale / spacing[1], fitting = LENGTHS_MM.filter((length) => length * perMm <= LONGEST);
  const length = fitting.at(-1) ?? LENGTHS_MM[0];
  at("scale-bar").style.width = `${length * perMm}px`;
  at("scale-text").textContent = length < 10 ? `${length} mm` : `${length / 10} cm`;
}

// @ts-check
import { at, input, onclick } from "./dom.js";
import { area } from "./format.js";
import { LEAST, NOTHING, expectedDice, maskAt } from "./operating_point.js";

/**
 * The slider from fewer to more lesions, and what is to be expected of the mask.
 *
 * @param {import("./store.js").Store} store
 * @param {() => Promise<void>} predict shows the mask of `/tumor/predict`
 */
export function connectPoint(store, predict) {
  const slider = input("threshold");
  slider.max = String(NOTHING - LEAST);
  slider.addEventListener("input", () => setThreshold(store, NOTHING - Number(slider.value)));
  onclick("own-point", () => setThreshold(store, store.state.ownThreshold));
  onclick("predict", () => predict().catch((error) => { at("point-words").textContent = error.message; }));
  store.subscribe(["mask", "threshold", "ownThreshold", "edited", "lesions"], (state) => {
    const { threshold, ownThreshold, edited, mask, probability, lesions, spacing } = state;
    const isOwn = threshold === ownThreshold && !edited;
    slider.value = String(NOTHING - threshold);
    const words = threshold >= NOTHING ? "no pixel" : `pixels from a probability of ${(threshold / 255).toFixed(2)}`;
    slider.setAttribute("aria-valuetext", isOwn ? `the model's own, ${words}` : words);
    /** @type {HTMLButtonElement} */ (at("own-point")).disabled = isOwn;
    at("count").textContent = String(lesions.length);
    at("area").textContent = area(lesions.reduce((sum, lesion) => sum + lesion.area, 0), spacing);
    at("expected").textContent = expectedDice(mask, probability, state.temperature)?.toFixed(2) ?? "–";
    at("point-words").textContent = edited
      ? "Not the model's own; the slider starts from its probabilities again."
      : `${isOwn ? "The model's own mask" : "Marked"}: ${words}.`;
  });
}

/**
 * @param {import("./store.js").Store} store
 * @param {number} threshold 255 p
 */
export function setThreshold(store, threshold) {
  const within = Math.min(Math.max(Math.round(threshold), LEAST), NOTHING);
  store.update({ threshold: within, mask: maskAt(store.state, within), clicks: [], edited: false });
}

// @ts-check
import { at, make } from "./dom.js";
import { percent } from "./format.js";

const UNSURE = 0.5; // below this probability a mask is a hint

/**
 * What the model says of the image, in plain words.
 *
 * @param {import("./store.js").Store} store
 * @param {Promise<Record<string, string>>} meanings of the warnings, by their code
 * @param {Promise<string>} version of the service
 */
export function showFinding(store, meanings, version) {
  store.subscribe(["leftOut"], ({ leftOut }) => { at("left-out").textContent = leftOut; });
  store.subscribe(["answer"], async ({ answer }) => {
    if (!answer) return;
    const { classification: { label, probability, threshold }, model, warnings } = answer;
    const isMarked = label === "tumor";
    at("verdict").textContent = !isMarked ? "No tumour found" : probability < UNSURE ? "Perhaps a tumour" : "Tumour found";
    at("verdict-words").textContent = `A tumour is ${percent(probability)} probable.`;
    at("likelihood").style.width = `${100 * probability}%`;
    at("limit").hidden = threshold === null;
    at("limit").style.left = `${100 * (threshold ?? 0)}%`;
    at("limit-words").textContent = threshold === null ? "" : limitWords(probability, threshold);
    at("finding").classList.toggle("found", isMarked);
    const words = await meanings, number = await version;
    if (answer !== store.state.answer) return;
    at("warnings").replaceChildren(...warnings.map((code) => make("li", {}, words[code] ?? sentenceOf(code))));
    at("model").textContent = `Model ${model.name} (${model.sha256.slice(0, 8)}), MIPseg ${number}`;
  });
}

/**
 * @param {number} probability
 * @param {number} threshold
 */
function limitWords(probability, threshold) {
  if (probability < threshold) return `That is below the operating point of ${percent(threshold)}, so the mask is left empty.`;
  return `Below the operating point of ${percent(threshold)} the mask is left empty.`;
}

const UID = /\b\d+(\.\d+){4,}\b/g;

/** @param {string} warning of a volume: `code: sentence` @returns {string} the sentence alone, without UIDs */
function sentenceOf(warning) {
  const words = warning.replace(/^[a-z0-9-]+: /, "").replace(UID, "series");
  return `${words[0].toUpperCase()}${words.slice(1)}${words.endsWith(".") ? "" : "."}`;
}

// @ts-check
import { at, make } from "./dom.js";

/** @type {Record<string, string>} what each shows, by its name */
const SAMPLES = { patient: "Several tumours", "whole-body": "Head to feet", control: "Healthy" };

/** @param {string} name @param {string} [part] */
const address = (name, part = "") => `static/samples/${name}${part}`;

/**
 * @param {string} name
 * @param {string} part end of the file's name
 * @returns {Promise<Blob>}
 */
function fetchPart(name, part) {
  // Where the service is gone, sending what is empty will tell.
  return fetch(address(name, part)).then((answer) => answer.blob(), () => new Blob());
}

/** @param {string} name of a sample */
export const fetchReference = (name) => fetchPart(name, "-reference.png");

/**
 * Show the samples as buttons with pictures.
 *
 * @param {(files: Blob[], about: {name: string, sample: string}) => Promise<void>} open
 * @returns {(name: string) => Promise<void>} opens one by its name; does nothing if there is none of that name
 */
export function connectSamples(open) {
  const openSample = async (/** @type {string} */ sample) => {
    if (Object.hasOwn(SAMPLES, sample)) await open([await fetchPart(sample, ".png")], { name: `${sample}.png`, sample });
  };
  at("samples").replaceChildren(...Object.entries(SAMPLES).map(([name, words]) => {
    const picture = make("img", { src: address(name, "-small.png"), alt: "", width: 100, height: 150 });
    const button = make("button", { type: "button" }, picture, words);
    button.addEventListener("click", () => openSample(name));
    return button;
  }));
  return openSample;
}

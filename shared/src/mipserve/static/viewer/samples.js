// @ts-check
import { at, make } from "./dom.js";

/** @type {Record<string, string>} what each shows, by its name */
const SAMPLES = { patient: "Several tumours", "whole-body": "Head to feet", control: "Healthy" };

/** @param {string} name @param {string} [part] */
const address = (name, part = "") => `static/samples/${name}${part}`;

/**
 * @param {string} name
 * @param {string} part end of the file's name
 */
async function fetchPart(name, part) {
  // Where the service is gone, sending what is empty will tell.
  const content = await fetch(address(name, part)).then((answer) => answer.blob(), () => new Blob());
  return new File([content], `${name}${part}`);
}

/** The sample of which there is a later scan. */
export const WITH_LATER = "patient";

export const fetchLater = () => fetchPart(WITH_LATER, "-later.png");

/** @param {string} name of a sample */
export const fetchReference = (name) => fetchPart(name, "-reference.png");

/**
 * Show the samples as buttons with pictures.
 *
 * @param {(given: import("./folder.js").Given, about: {sample: string}) => Promise<void>} open
 * @returns {(name: string) => Promise<void>} opens one by its name; does nothing if there is none of that name
 */
export function connectSamples(open) {
  const openSample = async (/** @type {string} */ sample) => {
    if (Object.hasOwn(SAMPLES, sample)) await open({ files: [await fetchPart(sample, ".png")], name: "" }, { sample });
  };
  at("samples").replaceChildren(...Object.entries(SAMPLES).map(([name, words]) => {
    const picture = make("img", { src: address(name, "-small.png"), alt: "", width: 100, height: 150 });
    const button = make("button", { type: "button" }, picture, words);
    button.addEventListener("click", () => openSample(name));
    return button;
  }));
  return openSample;
}

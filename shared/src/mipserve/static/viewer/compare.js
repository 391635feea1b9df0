// @ts-check
import { at, input, onclick } from "./dom.js";
import { agreement, compareWith, readMask } from "./reference.js";

const WORDS = "Drop or choose a reader's mask of this image: a PNG, white in tumours and black elsewhere.";

/**
 * The reference mask beside the prediction.
 *
 * @param {import("./store.js").Store} store
 * @param {(sample: string) => Promise<Blob>} fetchReference of a sample
 */
export function connectCompare(store, fetchReference) {
  const file = input("reference-file");
  onclick("choose-reference", () => file.click());
  file.addEventListener("change", async () => {
    if (file.files?.[0]) compareWith(store, await readMask(file.files[0]));
    file.value = ""; // the same file may be chosen again
  });
  onclick("own-reference", async () => {
    const { sample } = store.state, mask = await readMask(await fetchReference(sample));
    if (sample === store.state.sample) compareWith(store, mask);
  });
  onclick("no-reference", () => store.update({ reference: null, compare: false }));
  store.subscribe(["reference", "referenceProblem", "mask", "sample"], ({ reference, referenceProblem, mask, sample }) => {
    at("no-reference").hidden = at("agreement").hidden = !reference;
    at("own-reference").hidden = !sample || reference !== null;
    at("compare-words").hidden = reference !== null && !referenceProblem;
    at("compare-words").textContent = referenceProblem || WORDS;
    at("compare-words").classList.toggle("bad", referenceProblem !== "");
    if (!reference) return;
    const { tp, fp, fn, dice } = agreement(reference, mask);
    at("dice").textContent = dice.toFixed(3);
    for (const [id, pixels] of Object.entries({ tp, fp, fn })) at(id).textContent = `${pixels} px`;
  });
}

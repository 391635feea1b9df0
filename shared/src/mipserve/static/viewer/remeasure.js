// @ts-check
import { at, onclick } from "./dom.js";
import { correctVolume } from "./job.js";
import { maskAsPng } from "./save.js";
/** @typedef {import("./types.js").State} State */

/**
 * Whether a volume's numbers and files are those of another mask than the one that is shown.
 * @param {Pick<State, "mask" | "volume"> | null} state
 */
export const isStale = (state) => Boolean(state?.volume) && state?.mask !== state?.volume?.mask;

/**
 * A mask of a volume's projection that was changed: its numbers and files are made by the service when that is asked for,
 * and until then no file of another mask is offered.
 *
 * @param {import("./store.js").Store} store
 * @param {() => AbortSignal | undefined} signal ends with what is shown
 */
export function connectRemeasure(store, signal) {
  const button = /** @type {HTMLButtonElement} */ (at("remeasure")), words = at("remeasure-words");
  store.subscribe(["mask", "volume"], (state) => {
    at("stale").hidden = !isStale(state);
    at("files").hidden = isStale(state);
    at("volume").classList.toggle("stale", isStale(state));
  });
  store.subscribe(["intensity"], () => { words.textContent = ""; });
  onclick("remeasure", async () => {
    const ends = signal();
    if (!ends) return;
    button.disabled = true;
    words.textContent = "Sending the mask …";
    try {
      await remeasure(store, (text) => { words.textContent = text; }, ends);
      words.textContent = "";
    } catch (error) {
      if (!ends.aborted) words.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      button.disabled = false;
    }
  });
}

/**
 * @param {import("./store.js").Store} store
 * @param {(text: string) => void} onstep
 * @param {AbortSignal} signal
 */
async function remeasure(store, onstep, signal) {
  const { volume, mask, width } = store.state;
  if (!volume) return;
  const found = await correctVolume(volume.id, await maskAsPng({ mask, width }), onstep, signal);
  const { answer } = store.state;
  if (store.state.volume !== volume || !found.volume || !answer || !found.answer) return;
  // Whether there is a tumour remains what the model says.
  store.update({ volume: { ...found.volume, mask }, answer: { ...answer, warnings: found.answer.warnings } });
}

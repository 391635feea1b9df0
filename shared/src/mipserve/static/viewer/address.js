// @ts-check
import { setThreshold } from "./point.js";
import { WHOLE, within } from "./window.js";
/** @typedef {import("./types.js").State} State */

/** @type {(keyof State)[]} */
const KEYS = ["phase", "sample", "threshold", "ownThreshold", "edited", "outline", "fill", "heat", "darkIsHot", "window", "baseline"];

/**
 * Keep in the address what can be shared on one machine: the sample, the operating point, and how it is looked at.
 *
 * @param {import("./store.js").Store} store
 * @param {(sample: string) => Promise<void>} openSample
 */
export async function followAddress(store, openSample) {
  const given = new URLSearchParams(location.search), threshold = Number(given.get("threshold"));
  store.update({
    outline: given.get("outline") !== "0", heat: given.get("heat") === "1", darkIsHot: given.get("dark") !== "air",
    fill: Math.min(1, Number(given.get("fill") ?? store.state.fill) || 0),
  });
  const sample = given.get("sample");
  if (sample) await openSample(sample);
  const [low, high] = (given.get("window") ?? "").split("-").map(Number);
  if (low >= 0 && high > low) store.update({ window: within("front", low, high) });
  if (sample && threshold > 0 && store.state.phase === "shown") setThreshold(store, threshold * 255);
  store.subscribe(KEYS, (state) => history.replaceState(null, "", addressOf(state)));
}

/** @param {State} state */
function addressOf({ sample, phase, threshold, ownThreshold, edited, outline, fill, heat, darkIsHot, window, baseline }) {
  const words = new URLSearchParams();
  if (sample && !baseline) words.set("sample", sample);
  if (phase === "shown" && threshold !== ownThreshold && !edited) words.set("threshold", (threshold / 255).toFixed(3));
  if (!outline) words.set("outline", "0");
  if (fill !== 0.25) words.set("fill", String(fill));
  if (heat) words.set("heat", "1");
  if (!darkIsHot) words.set("dark", "air");
  if (window !== WHOLE) words.set("window", `${window.low.toFixed(2)}-${window.high.toFixed(2)}`);
  return `${location.pathname}${words.size > 0 ? `?${words}` : ""}`;
}

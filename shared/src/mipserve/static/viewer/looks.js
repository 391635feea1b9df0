// @ts-check
import { at, onclick } from "./dom.js";
import { whyNoPlanes } from "./planes.js";
/** @typedef {import("./types.js").State["look"]} Look */

/** @type {Record<Look, string>} where a look has its focus */
const FOCUS = { front: "picture", film: "film-angle", planes: "planes-picture" };

/**
 * The ways to look at a volume, one at a time: its projection, the film of its projections that turns, or its slices.
 *
 * @param {import("./canvas.js").Canvas} canvas
 * @param {import("./keys.js").Key[]} keys of the picture; grow by those that leave it
 */
export function connectLooks({ store }, keys) {
  /** @param {Look} look */
  const show = (look) => {
    if (!store.state.volume || /** @type {HTMLButtonElement} */ (at(`look-${look}`)).disabled) return;
    store.update({ look });
    at(FOCUS[look]).focus({ preventScroll: true });
  };
  const looks = /** @type {Look[]} */ (Object.keys(FOCUS));
  for (const look of looks) onclick(`look-${look}`, () => show(look));
  store.subscribe(["look", "volume"], ({ look, volume }) => {
    const reason = volume && whyNoPlanes(volume);
    at("looks").hidden = !volume;
    /** @type {HTMLButtonElement} */ (at("look-planes")).disabled = Boolean(reason);
    at("no-planes").textContent = reason && `There are no slices: ${reason}.`;
    at("stage").dataset.look = look;
    for (const one of looks) at(`look-${one}`).setAttribute("aria-pressed", String(one === look));
  });
  keys.push({ keys: ["t"], shown: "t", words: "turn (volumes)", action: () => show("film") });
  keys.push({ keys: ["s"], shown: "s", words: "slices (volumes)", action: () => show("planes") });
  // In the film a lesion is marked; from the projection its slices are opened.
  store.subscribe(["lesion3d"], ({ lesion3d, look }) => lesion3d && look !== "film" && show("planes"));
  at("stage").addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && store.state.look !== "front") show("front");
  });
}

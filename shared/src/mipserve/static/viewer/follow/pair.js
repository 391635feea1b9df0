// @ts-check
import { Canvas } from "../canvas.js";
import { pickLesions } from "../chosen.js";
import { at } from "../dom.js";
import { count } from "../format.js";
import { makeLayers } from "../layers.js";
import { Store } from "../store.js";
import { START } from "../types.js";
import { spacingOf } from "./shift.js";
/** @typedef {import("../types.js").State} State */
/** @typedef {import("./compare.js").Comparison} Comparison */

/** @type {(keyof State)[]} how both are looked at */
const LOOKS = ["darkIsHot", "outline", "fill", "heat", "window"];

/**
 * The baseline's picture beside that of the later scan; both show the same part of the body.
 *
 * @param {Canvas} later
 * @param {() => Comparison["shift"]} shift of the body, in mm, from the baseline to the later scan
 * @returns {Canvas} the baseline's
 */
export function showBaseline(later, shift) {
  const { store } = later, earlier = new Store(START);
  const canvas = new Canvas(/** @type {HTMLCanvasElement} */ (at("baseline-picture")), earlier, makeLayers());
  store.subscribe(["baseline", "phase", "name", ...LOOKS], (state) => {
    const { baseline, phase, darkIsHot, outline, fill, heat, window } = state;
    document.body.classList.toggle("paired", baseline !== null && phase === "shown");
    earlier.update({ ...(baseline ?? START), darkIsHot, outline, fill, heat, window });
    const lesions = baseline ? count(baseline.lesions.length, "lesion") : "";
    canvas.element.setAttribute("aria-label", baseline ? `Baseline, ${baseline.name}: ${lesions}` : "No baseline");
    at("baseline-name").textContent = `Baseline: ${baseline?.name ?? ""}`;
    at("later-name").textContent = `Follow-up: ${state.name}`;
  });
  pickLesions(canvas);
  follow(canvas, later, shift, 1);
  follow(later, canvas, shift, -1);
  return canvas;
}

/**
 * Let one picture show the part of the body that another shows, whenever that moves.
 *
 * @param {Canvas} follower
 * @param {Canvas} leader
 * @param {() => Comparison["shift"]} shift
 * @param {1 | -1} sign 1: the leader shows the later scan
 */
function follow(follower, leader, shift, sign) {
  let last = "";
  leader.onview.push(({ isFitted, scale, x, y }) => {
    const now = `${isFitted} ${scale} ${x} ${y}`, hasMoved = now !== last;
    last = now;
    if (!hasMoved || !leader.store.state.width || !follower.store.state.width) return;
    if (isFitted) return follower.view.isFitted ? undefined : follower.fit();
    const [dy, dx] = spacingOf(leader.store.state), [, own] = spacingOf(follower.store.state), { x: right, y: down } = shift();
    const place = { scale: (scale / dx) * own, x: x + (sign * scale / dx) * right, y: y + (sign * scale / dy) * down };
    if (follower.view.moveTo(place)) follower.draw();
  });
}

// @ts-check
import { componentOf } from "../chosen.js";
import { at, make, onclick } from "../dom.js";
import { WITH_LATER } from "../samples.js";
import { saveAs } from "../save.js";
import { isStale } from "../remeasure.js";
import { MAX_ROWS } from "../table.js";
import { REACH_MM, compareScans } from "./compare.js";
import { showBaseline } from "./pair.js";
/** @typedef {import("../types.js").State} State */
/** @typedef {import("./compare.js").Comparison} Comparison */
/** @typedef {import("./compare.js").Pair} Pair */
/** @typedef {import("../canvas.js").Canvas} Canvas */

/** @param {string} where */
const rule = (where) => `Lesions are matched by where their centres lie ${where}, after one body is laid upon the other: the
  nearest pair first, each lesion once, at most ${REACH_MM / 10} cm apart. An aid for reading, not an assessment of response.`;
const INVITATION = "Open a later scan of the same patient beside this one, which becomes the baseline.";

/**
 * A later scan beside an earlier one: totals, what has changed, and which lesion is which.
 *
 * @param {Canvas} canvas of the later scan
 * @param {() => void} openSample opens the later scan of the sample that has one
 */
export function connectFollowUp(canvas, openSample) {
  const { store } = canvas;
  /** @type {Comparison | null} */
  let comparison = null;
  const baseline = showBaseline(canvas, () => comparison?.shift ?? { x: 0, y: 0 });
  onclick("sample-later", openSample);
  onclick("no-baseline", () => store.update({ baseline: null }));
  onclick("follow-csv", () => comparison && saveAs("follow-up.csv", new Blob([asCsv(comparison)], { type: "text/csv" })));
  store.subscribe(["baseline", "sample"], ({ baseline, sample }) => {
    for (const id of ["no-baseline", "follow", "follow-csv"]) at(id).hidden = !baseline;
    at("sample-later").hidden = sample !== WITH_LATER || baseline !== null;
    at("choose-later").textContent = baseline ? "Choose another…" : "Choose a later scan…";
  });
  store.subscribe(["baseline", "mask", "volume"], ({ baseline, mask, volume }) => {
    const stale = [isStale(baseline) && "the baseline", isStale({ mask, volume }) && "the follow-up"].filter(Boolean);
    at("follow-stale").hidden = !baseline || stale.length === 0;
    at("follow-stale").textContent = `The numbers of ${stale.join(" and ")} are those of the mask before it was changed.`;
  });
  store.subscribe(["baseline", "phase", "lesions", "volume"], (state) => {
    comparison = state.baseline && state.phase === "shown" ? compareScans(state.baseline, state) : null;
    at("follow-words").textContent = comparison ? rule(comparison.where) : INVITATION;
    if (comparison) show(comparison, (pair) => choose(canvas, baseline, pair));
  });
}

/**
 * @param {Comparison} comparison
 * @param {(pair: Pair) => void} onchoose
 */
function show({ totals, size, digits, pairs }, onchoose) {
  const cell = (/** @type {string} */ text) => make("td", {}, text);
  at("follow-totals").replaceChildren(...totals.map(({ name, digits, before, after }) => make("tr", {},
    make("th", { scope: "row" }, name), ...[number(before, digits), number(after, digits), change(before, after, digits)].map(cell))));
  at("follow-size").textContent = size;
  at("follow-pairs").replaceChildren(...pairs.slice(0, MAX_ROWS).map((pair) => {
    const { before, after } = pair, words = !before ? "new" : after ? change(before.size, after.size, digits) : "not found again";
    const label = [before && `lesion ${before.id} of the baseline`, after && `lesion ${after.id} of the follow-up`];
    const button = make("button", { type: "button", className: "plain", ariaLabel: `Show ${label.filter(Boolean).join(" and ")}` },
      `${before?.id ?? "–"} → ${after?.id ?? "–"}`);
    const row = make("tr", {}, make("td", {}, button),
      ...[number(before?.size, digits), number(after?.size, digits), words].map(cell));
    row.addEventListener("click", () => onchoose(pair));
    return row;
  }));
  const left = pairs.length - MAX_ROWS;
  at("follow-more").textContent = left > 0 ? `And ${left} more, in the CSV.` : "";
}

/**
 * Show a pair in both pictures.
 * @param {Canvas} canvas
 * @param {Canvas} baseline
 * @param {Pair} pair
 */
function choose(canvas, baseline, { before, after }) {
  for (const [one, item] of /** @type {const} */ ([[baseline, before], [canvas, after]])) {
    const { state } = one.store, lesion = state.volume?.lesions.find(({ id }) => id === item?.id);
    const selected = lesion ? componentOf(state, lesion) : item?.id ?? 0;
    one.store.update({ selected, ...(one === canvas && { look: "front" }) });
  }
  if (after) canvas.show(after.place);
  else if (before) baseline.show(before.place);
}

/**
 * @param {number | null | undefined} value
 * @param {number} digits
 */
const number = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "–");

/**
 * @param {number | null} before
 * @param {number | null} after
 * @param {number} digits
 * @returns {string} the difference, and in per cent of what was before
 */
function change(before, after, digits) {
  if (before === null || after === null) return "–";
  const difference = after - before, sign = difference > 0 ? "+" : "";
  const share = before > 0 ? ` (${sign}${Math.round((100 * difference) / before)} %)` : "";
  return `${sign}${difference.toFixed(digits)}${share}`.replaceAll("-", "−");
}

/** @param {Comparison} comparison */
function asCsv({ totals, size, pairs }) {
  const rows = [["what", "baseline", "follow_up"],
    ...totals.map(({ name, before, after }) => [`"${name}"`, before ?? "", after ?? ""]),
    ["baseline_lesion", "follow_up_lesion", `"baseline ${size}"`, `"follow-up ${size}"`],
    ...pairs.map(({ before, after }) => [before?.id ?? "", after?.id ?? "", before?.size ?? "", after?.size ?? ""])];
  return rows.map((row) => `${row.join(",")}\n`).join("");
}

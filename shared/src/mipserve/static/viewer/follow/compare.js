// @ts-check
import { depthsOf } from "./depth.js";
import { bodyShift, spacingOf } from "./shift.js";
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").Point} Point */
/**
 * @typedef {object} Item a lesion of one of both scans
 * @property {number} id
 * @property {Point} place of its centre, in pixels of its image
 * @property {number} depth of its centre behind the middle of the body, in mm; 0 in an image, which has none
 * @property {number | null} size its volume in ml, or its area in the projection
 *
 * @typedef {object} Total of all lesions
 * @property {string} name with its unit
 * @property {number} digits after the point
 * @property {number | null} before null where it can't be known
 * @property {number | null} after
 *
 * @typedef {object} Pair a lesion of both scans, or of one alone
 * @property {Item | null} before
 * @property {Item | null} after
 *
 * @typedef {object} Comparison
 * @property {Total[]} totals
 * @property {string} size what the lesions' sizes are, with their unit
 * @property {number} digits of them
 * @property {string} where the centres of lesions are compared
 * @property {Pair[]} pairs those of both scans first, in the order of the baseline's lesions
 * @property {Point} shift of the body, in mm
 */

export const REACH_MM = 30; // between the centres of one lesion

/** @param {State} state @returns {State} what of it stays to be compared with */
export function asBaseline(state) {
  return { ...state, baseline: null, reference: null, compare: false, selected: 0, hovered: 0, look: "front", lesion3d: 0 };
}

/**
 * Compare two scans by the service's measurements, of images by those of what is shown.
 *
 * @param {State} before
 * @param {State} after
 * @returns {Comparison}
 */
export function compareScans(before, after) {
  const shift = bodyShift(before, after);
  const { name, digits, where, items, totals } = before.volume && after.volume ? volumes : images(before, after);
  const [first, second] = [items(before), items(after)];
  const counts = { name: "Lesions", digits: 0, before: first.length, after: second.length };
  return {
    totals: [...totals.map((total) => ({ ...total, before: total.of(before), after: total.of(after) })), counts],
    size: name, digits, where, shift, pairs: match(first, second, (one, other) => distance(before, one, after, other, shift)),
  };
}

/** @typedef {{name: string, digits: number, of: (state: State) => number | null}} Sum */
/** @typedef {{name: string, digits: number, where: string, items: (state: State) => Item[], totals: Sum[]}} Measures */

/** @type {Measures} */
const volumes = {
  name: "MTV, ml", digits: 1, where: "in the body",
  items: ({ volume }) => {
    const depths = volume ? depthsOf(volume) : new Map();
    return (volume?.lesions ?? []).map(({ id, mip_px: [y, x], mtv_ml: size }) =>
      ({ id, size, place: { x: x + 0.5, y: y + 0.5 }, depth: depths.get(id) }));
  },
  totals: [
    { name: "MTV, ml", digits: 1, of: ({ volume }) => volume?.patient.total_mtv_ml ?? null },
    { name: "TLG, g", digits: 0, of: ({ volume }) => volume?.patient.total_tlg_g ?? null },
  ],
};

/**
 * @param {State} before
 * @param {State} after
 * @returns {Measures}
 */
function images(before, after) {
  const isKnown = before.spacing !== null && after.spacing !== null;
  const unit = isKnown ? "cm²" : "px", digits = isKnown ? 2 : 0;
  /** @type {(lesion: import("../types.js").Lesion) => number} */
  const size = ({ area, areaMm2 }) => (isKnown ? (areaMm2 ?? 0) / 100 : area);
  return {
    name: `Area, ${unit}`, digits, where: "in the projection",
    items: ({ lesions }) => lesions.map((lesion) =>
      ({ id: lesion.id, size: size(lesion), place: { x: lesion.centroid[1] + 0.5, y: lesion.centroid[0] + 0.5 }, depth: 0 })),
    totals: [{ name: `Area, ${unit}`, digits, of: ({ lesions }) => lesions.reduce((sum, one) => sum + size(one), 0) }],
  };
}

/**
 * @param {State} before
 * @param {Item} one
 * @param {State} after
 * @param {Item} other
 * @param {Point} shift
 * @returns {number} mm between two lesions, once one body lies on the other
 */
function distance(before, one, after, other, shift) {
  const [dy, dx] = spacingOf(before), [rows, columns] = spacingOf(after);
  return Math.hypot(
    one.place.x * dx + shift.x - other.place.x * columns,
    one.place.y * dy + shift.y - other.place.y * rows,
    one.depth - other.depth);
}

/**
 * Take pairs of lesions for one lesion: the nearest pair first, each lesion once, none that are farther apart than 30 mm.
 *
 * @param {Item[]} before
 * @param {Item[]} after
 * @param {(one: Item, other: Item) => number} distanceMm
 * @returns {Pair[]}
 */
export function match(before, after, distanceMm) {
  const near = before.flatMap((one) => after.map((other) => ({ one, other, mm: distanceMm(one, other) })))
    .filter(({ mm }) => mm <= REACH_MM).sort((a, b) => a.mm - b.mm);
  /** @type {Map<Item, Item>} */
  const partners = new Map(), taken = new Set();
  for (const { one, other } of near) {
    if (partners.has(one) || taken.has(other)) continue;
    partners.set(one, other);
    taken.add(other);
  }
  const both = before.filter((one) => partners.has(one)), gone = before.filter((one) => !partners.has(one));
  return [
    ...both.map((one) => ({ before: one, after: partners.get(one) ?? null })),
    ...gone.map((one) => ({ before: one, after: null })),
    ...after.filter((other) => !taken.has(other)).map((other) => ({ before: null, after: other })),
  ];
}

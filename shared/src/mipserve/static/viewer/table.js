// @ts-check
import { at, make } from "./dom.js";
/** @typedef {import("./types.js").Lesion} Lesion */
/** @typedef {import("./types.js").State} State */
/**
 * @typedef {object} Column
 * @property {string} title
 * @property {string} name with its unit, in the CSV
 * @property {(lesion: Lesion) => number} value
 * @property {number} digits after the point
 */

/**
 * @param {State} state
 * @returns {Column[]}
 */
function columnsOf({ spacing }) {
  return [
    { title: "No.", name: "lesion", value: ({ id }) => id, digits: 0 },
    spacing
      ? { title: "Area, cm²", name: "area_cm2", value: ({ areaMm2 }) => (areaMm2 ?? 0) / 100, digits: 2 }
      : { title: "Area, px", name: "area_px", value: ({ area }) => area, digits: 0 },
    { title: "Intensity", name: "mean_intensity", value: ({ intensity }) => intensity, digits: 2 },
    { title: "Probability", name: "probability", value: ({ probability }) => probability, digits: 2 },
  ];
}

export const MAX_ROWS = 100; // more are noise, and would make the page slow

/** The table of lesions: sorted by its columns, and linked both ways with the picture. */
export class LesionTable {
  #column = 0;
  #isDown = false;

  /**
   * @param {import("./store.js").Store} store
   * @param {(lesion: Lesion) => void} onchoose shows a lesion in the picture
   */
  constructor(store, onchoose) {
    this.store = store;
    this.onchoose = onchoose;
    this.body = /** @type {HTMLTableSectionElement} */ (at("lesions").querySelector("tbody"));
    this.head = /** @type {HTMLElement} */ (at("lesions").querySelector("thead tr"));
    this.body.addEventListener("pointerleave", () => store.update({ hovered: 0 }));
    store.subscribe(["lesions", "spacing"], () => this.#show());
    store.subscribe(["selected", "hovered"], (state) => this.#mark(state));
  }

  /** The lesions as they are sorted. */
  get sorted() {
    const { value } = columnsOf(this.store.state)[this.#column], sign = this.#isDown ? -1 : 1;
    return [...this.store.state.lesions].sort((a, b) => sign * (value(a) - value(b)) || a.id - b.id);
  }

  /**
   * Choose the lesion that follows the chosen one in the table.
   * @param {number} step 1: the next, -1: the one before
   */
  step(step) {
    const rows = this.sorted, place = rows.findIndex(({ id }) => id === this.store.state.selected);
    const next = place < 0 ? (step > 0 ? 0 : rows.length - 1) : (place + step + rows.length) % rows.length;
    if (rows.length > 0) this.choose(rows[next].id);
  }

  /** @param {number} id of a lesion, 0: none */
  choose(id) {
    this.store.update({ selected: id });
    const lesion = this.store.state.lesions[id - 1];
    if (lesion) this.onchoose(lesion);
    this.body.querySelector(".selected")?.scrollIntoView({ block: "nearest" });
  }

  /**
   * The table as text, sorted as it is shown.
   * @param {string} separator
   */
  text(separator) {
    const columns = columnsOf(this.store.state);
    const rows = this.sorted.map((lesion) => columns.map(({ value, digits }) => value(lesion).toFixed(digits)));
    return [columns.map(({ name }) => name), ...rows].map((row) => `${row.join(separator)}\n`).join("");
  }

  #show() {
    const columns = columnsOf(this.store.state);
    this.head.replaceChildren(...columns.map((column, place) => this.#heading(column, place)));
    const rows = this.sorted, left = rows.length - MAX_ROWS;
    this.body.replaceChildren(...rows.slice(0, MAX_ROWS).map((lesion) => this.#row(lesion, columns)));
    at("lesions").hidden = rows.length === 0;
    at("lesions-words").textContent = rows.length === 0 ? "The mask is empty." : left > 0 ? `And ${left} more, in the CSV.` : "";
    this.#mark(this.store.state);
  }

  /**
   * @param {Column} column
   * @param {number} place
   */
  #heading({ title }, place) {
    const isSorted = place === this.#column, button = make("button", { type: "button", textContent: title });
    button.addEventListener("click", () => {
      this.#isDown = isSorted ? !this.#isDown : place > 0; // the largest first, unless it is a number
      this.#column = place;
      this.#show();
      this.head.querySelectorAll("button")[place].focus();
    });
    const heading = make("th", { scope: "col" }, button);
    heading.setAttribute("aria-sort", isSorted ? (this.#isDown ? "descending" : "ascending") : "none");
    return heading;
  }

  /**
   * @param {Lesion} lesion
   * @param {Column[]} columns
   */
  #row(lesion, columns) {
    const [first, ...others] = columns.map(({ value, digits }) => value(lesion).toFixed(digits));
    const button = make("button", { type: "button", ariaLabel: `Show lesion ${first}` }, first);
    const row = make("tr", {}, make("td", {}, button), ...others.map((text) => make("td", {}, text)));
    row.dataset.id = String(lesion.id);
    row.addEventListener("click", () => this.choose(lesion.id));
    row.addEventListener("pointerenter", () => this.store.update({ hovered: lesion.id }));
    return row;
  }

  /** @param {State} state */
  #mark({ selected, hovered }) {
    for (const row of this.body.rows) {
      const id = Number(row.dataset.id);
      row.classList.toggle("selected", id === selected);
      row.classList.toggle("hovered", id === hovered);
      row.querySelector("button")?.setAttribute("aria-pressed", String(id === selected));
    }
  }
}

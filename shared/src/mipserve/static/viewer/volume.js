// @ts-check
import { chosenIn3d, componentOf } from "./chosen.js";
import { at, make } from "./dom.js";
import { fileOf } from "./job.js";

/** @type {[keyof import("./types.js").VolumeLesion & string, string, number][]} a measure, its heading, and its digits */
const COLUMNS = [
  ["id", "No.", 0], ["mtv_ml", "MTV, ml", 1], ["suv_max", "SUVmax", 1], ["suv_mean", "SUVmean", 1],
  ["suv_peak", "SUVpeak", 1], ["tlg_g", "TLG, g", 0],
];

/**
 * What was measured in a volume, and the files that were made of it: as the model said, whatever the mask is moved to.
 *
 * @param {import("./store.js").Store} store
 */
export function showVolume(store) {
  const [head, body] = ["thead tr", "tbody"].map((part) => /** @type {Element} */ (at("volume").querySelector(part)));
  head.replaceChildren(...COLUMNS.map(([, title]) => make("th", { scope: "col" }, title)));
  store.subscribe(["lesion3d"], (state) => {
    const lesion = state.volume?.lesions.find(({ id }) => id === state.lesion3d);
    if (lesion) store.update({ selected: componentOf(state, lesion) });
  });
  store.subscribe(["volume"], ({ volume }) => {
    for (const id of ["spacing", "spacing-words", "predict", "expected-figure"]) at(id).hidden = volume !== null;
    at("volume").hidden = !volume;
    at("lesions-title").textContent = volume ? "Lesions in the projection" : "Lesions";
    if (!volume) return;
    const { id, lesions, patient, files, film } = volume;
    at("total-mtv").textContent = number(patient.total_mtv_ml, 1);
    at("total-tlg").textContent = number(patient.total_tlg_g, 0);
    at("suv-max").textContent = number(patient.suv_max, 1);
    body.replaceChildren(...lesions.map((lesion) => make("tr", {}, ...COLUMNS.map(([key, , digits]) =>
      make("td", { title: lesion.reasons[key] ?? "" }, number(lesion[key], digits))))));
    for (const [place, row] of [...body.children].entries()) {
      row.firstElementChild?.replaceChildren(swatch(film.palette, place), chooser(store, volume, lesions[place].id));
      row.addEventListener("click", () => row.querySelector("button")?.click());
    }
    at("files").replaceChildren(...files.map(({ name, size }) => make("li", {},
      make("a", { href: fileOf(id, name), download: name }, name), ` ${Math.ceil(size / 1024)} kB`)));
  });
  store.subscribe(["volume", "lesion3d", "selected"], (state) => {
    const chosen = chosenIn3d(state);
    for (const [place, row] of [...body.children].entries()) {
      const isChosen = chosen.has(state.volume?.lesions[place].id ?? 0);
      row.classList.toggle("selected", isChosen);
      row.querySelector("button")?.setAttribute("aria-pressed", String(isChosen));
    }
  });
}

/**
 * @param {number[][]} palette of the film
 * @param {number} place of a lesion in its list, from 0
 */
function swatch(palette, place) {
  const mark = make("i", { className: "swatch" });
  mark.style.background = `rgb(${palette[place % palette.length].join(" ")})`;
  return mark;
}

/**
 * @param {import("./store.js").Store} store
 * @param {import("./types.js").Volume} volume
 * @param {number} id of the lesion
 */
function chooser(store, volume, id) {
  const button = make("button", { type: "button", className: "plain", ariaLabel: `Show lesion ${id}` }, String(id));
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    store.update({ lesion3d: 0 }); // else the same lesion would not be shown again
    store.update({ lesion3d: id });
  });
  return button;
}

/**
 * @param {unknown} value null where it can't be known
 * @param {number} digits
 */
const number = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "\u2013");

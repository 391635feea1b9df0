// @ts-check
import { at, onclick } from "./dom.js";
import { canvasOf, colour, paint } from "./pixels.js";

/**
 * Saving: what is saved is what is seen.
 *
 * @param {import("./store.js").Store} store
 * @param {import("./table.js").LesionTable} table
 * @param {import("./layers.js").Layer[]} layers of the picture
 */
export function connectSave(store, table, layers) {
  /** @type {(end: string, content: Blob) => void} */
  const save = (end, content) => saveAs(`${store.state.name.replace(/\.[^.]*$/, "") || "image"}-${end}`, content);
  for (const id of ["save-mask", "save-mask-too"]) onclick(id, async () => save("mask.png", await maskAsPng(store.state)));
  onclick("save-picture", async () => save("picture.png", await asPng(picture(store.state, layers))));
  const saveTable = () => save("lesions.csv", new Blob([table.text(",")], { type: "text/csv" }));
  onclick("csv", saveTable);
  onclick("save-table", saveTable);
  at("copy").hidden = !navigator.clipboard; // it is there on this machine or by HTTPS alone
  onclick("copy", async () => {
    await navigator.clipboard.writeText(table.text("\t"));
    at("copy").textContent = "Copied";
    setTimeout(() => { at("copy").textContent = "Copy"; }, 1500);
  });
}

/**
 * @param {Pick<import("./types.js").State, "mask" | "width">} state
 * @returns {Promise<Blob>} black and white, as large as the image
 */
export const maskAsPng = ({ mask, width }) =>
  asPng(paint(mask, width, new Uint32Array([colour(0, 0, 0), colour(255, 255, 255)])));

/**
 * @param {import("./types.js").State} state
 * @param {import("./layers.js").Layer[]} layers
 * @returns {HTMLCanvasElement} at least 1000 pixels high, so that outlines are fine
 */
function picture(state, layers) {
  const scale = Math.max(1, Math.ceil(1000 / state.height));
  const canvas = canvasOf(scale * state.width, scale * state.height), pen = canvas.getContext("2d");
  if (!pen) throw new Error("the browser gives no canvas");
  pen.scale(scale, scale);
  for (const layer of layers) layer.draw(pen, state, scale);
  return canvas;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {Promise<Blob>}
 */
function asPng(canvas) {
  return new Promise((done, fail) => {
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the picture can't be saved"))), "image/png");
  });
}

/**
 * Hand a file to whoever looks at the page.
 * @param {string} name
 * @param {Blob} content
 */
export function saveAs(name, content) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

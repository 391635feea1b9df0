// @ts-check
import { at, input, onclick } from "./dom.js";

/**
 * The ways by which files come: chosen, dropped anywhere, pasted.
 *
 * @param {(files: File[]) => void} open
 */
export function connectFiles(open) {
  const file = input("file");
  for (const id of ["open", "choose", "another"]) onclick(id, () => file.click());
  file.addEventListener("change", () => {
    const files = [...(file.files ?? [])];
    file.value = ""; // the same file may be chosen again
    if (files.length > 0) open(files);
  });
  connectDrop(open);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) open(files);
  });
}

/** @param {(files: File[]) => void} open */
function connectDrop(open) {
  let depth = 0; // of the elements that a dragged file is over
  /** @param {number} change */
  const go = (change) => {
    depth = change === 0 ? 0 : depth + change;
    document.body.classList.toggle("dropping", depth > 0);
  };
  const carriesFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragenter", (event) => carriesFiles(event) && go(1));
  document.addEventListener("dragleave", (event) => carriesFiles(event) && go(-1));
  document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    go(0);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) open(files);
  });
}

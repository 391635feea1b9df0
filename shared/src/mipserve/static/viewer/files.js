// @ts-check
import { input, onclick } from "./dom.js";
import { readChosen, readDropped } from "./folder.js";
/** @typedef {import("./folder.js").Given} Given */
/** @typedef {(given: Given) => void} Open */

/**
 * The ways by which files come: chosen, dropped anywhere, pasted.
 *
 * @param {Open} open
 * @param {Open} openLater opens a later scan of the patient that is shown
 * @param {() => boolean} isLater whether what was opened last is such a scan, so that another file is one too
 */
export function connectFiles(open, openLater, isLater) {
  let taken = open;
  const file = input("file"), folder = input("folder");
  /** @type {[string, HTMLInputElement, Open][]} */
  const buttons = [
    ["open", file, open], ["choose", file, open],
    ["another", file, (given) => (isLater() ? openLater : open)(given)], ["choose-folder", folder, open],
    ["choose-later", file, openLater], ["choose-later-folder", folder, openLater],
  ];
  for (const [id, chooser, then] of buttons) {
    onclick(id, () => {
      taken = then;
      chooser.click();
    });
  }
  for (const chooser of [file, folder]) {
    chooser.addEventListener("change", () => {
      const files = [...(chooser.files ?? [])];
      chooser.value = ""; // the same file may be chosen again
      if (files.length > 0) taken(chooser === folder ? readChosen(files) : plain(files));
      taken = open;
    });
  }
  connectDrop(open);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) open(plain(files));
  });
}

/** @param {File[]} files @returns {Given} */
const plain = (files) => ({ files, name: "" });

/** @param {Open} open */
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
    if (!event.dataTransfer || !carriesFiles(event)) return;
    event.preventDefault();
    go(0);
    open(readDropped(event.dataTransfer));
  });
}

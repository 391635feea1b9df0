// @ts-check
import { at, make } from "../dom.js";
import { BrushTool } from "./brush_tool.js";
import { ClickTool } from "./click_tool.js";
import { Cross } from "./cross.js";
import { Editor } from "./editor.js";
import { makePreview } from "./preview.js";
/** @typedef {import("./preview.js").Corrector} Corrector */
/** @typedef {import("../canvas.js").Tool} Tool */

/**
 * The tools that correct the mask: their buttons, their keys, and the outline of what they are about to do.
 *
 * @param {import("../canvas.js").Canvas} canvas
 * @param {import("../keys.js").Key[]} keys of the picture, to which those of the tools are added
 * @param {import("../canvas.js").Tool} windowTool stands among them, and corrects nothing
 */
export function connectCorrections(canvas, keys, windowTool) {
  const editor = new Editor(canvas.store);
  const current = () => /** @type {Corrector | null} */ (canvas.tool === windowTool ? null : canvas.tool);
  /** @type {(shown: string, words: string, key: string, action: () => void) => HTMLButtonElement} */
  const addButton = (shown, words, key, action) => {
    const button = /** @type {HTMLButtonElement} */ (make("button", { type: "button", title: `${words} (${key})` }, shown));
    button.addEventListener("click", action);
    keys.push({ keys: [key], shown: key, words, action });
    at("tools").append(button);
    return button;
  };
  /** @param {number} steps */
  const resize = (steps) => {
    current()?.resize(steps);
    canvas.draw();
  };
  addTools(canvas, editor, windowTool, addButton);
  const undo = addButton("↶", "undo", "z", () => editor.undo()), redo = addButton("↷", "redo", "y", () => editor.redo());
  for (const [shown, words, key, steps] of /** @type {const} */ ([
    ["Smaller", "a smaller region or brush", ",", -1], ["Larger", "a larger region or brush", ".", 1],
  ])) {
    addButton(shown, words, key, () => resize(steps)).classList.add("of-size");
  }
  [undo.ariaLabel, redo.ariaLabel] = ["Undo", "Redo"];
  editor.onchange = () => [undo.disabled, redo.disabled] = [!editor.canUndo, !editor.canRedo];
  editor.onchange();
  document.addEventListener("keydown", (event) => onUndoKey(event, editor));
  at("tools").hidden = false;

  const cross = new Cross(canvas, current);
  keys.push({ keys: [], shown: "Enter", words: "use the tool where the arrow keys (with shift: slowly) put the cross", action: () => {} });
  canvas.layers.push(makePreview(current, cross));
  canvas.element.addEventListener("pointerleave", () => {
    current()?.cancel();
    canvas.draw();
  });
}

/**
 * @param {import("../canvas.js").Canvas} canvas
 * @param {Editor} editor
 * @param {Tool} windowTool
 * @param {(shown: string, words: string, key: string, action: () => void) => HTMLButtonElement} addButton
 */
function addTools(canvas, editor, windowTool, addButton) {
  /** @type {Map<Tool | null, HTMLButtonElement>} */
  const buttons = new Map();
  /** @param {Tool | null} tool @param {string} hint */
  const choose = (tool, hint) => {
    canvas.tool?.cancel();
    canvas.tool = tool;
    for (const [one, button] of buttons) button.ariaPressed = String(one === tool);
    at("tools").classList.toggle("correcting", tool !== null && tool !== windowTool);
    at("tool-hint").textContent = hint;
    canvas.element.focus({ preventScroll: true });
  };
  /** @type {[string, string, string, Tool | null, string][]} */
  const choices = [
    ["Look", "look around and choose lesions", "v", null, ""],
    ["Contrast", "change the window of grey", "w", windowTool, "Drag sideways for contrast, up and down for brightness."],
    ["Click", "a click adds a lesion or removes one", "c", new ClickTool(editor),
      "Click a hot spot to mark it, or a marked one to remove it. Drag sideways for more or less."],
    ["Brush", "paint tumour", "b", new BrushTool(editor, true), "Paint what is tumour."],
    ["Eraser", "wipe tumour", "e", new BrushTool(editor, false), "Wipe what is not tumour."],
  ];
  for (const [shown, words, key, tool, hint] of choices) {
    buttons.set(tool, addButton(shown, words, key, () => choose(tool, hint)));
  }
  canvas.store.subscribe(["intensity"], () => choose(null, ""));
  canvas.element.addEventListener("pointerdown", () => { at("tool-hint").textContent = ""; }); // it has been read
}

/**
 * @param {KeyboardEvent} event
 * @param {Editor} editor
 */
function onUndoKey(event, editor) {
  const key = event.key.toLowerCase(), isText = event.target instanceof HTMLInputElement && event.target.type === "text";
  if (!(event.ctrlKey || event.metaKey) || isText || (key !== "z" && key !== "y")) return;
  event.preventDefault();
  if (key === "z" && !event.shiftKey) editor.undo();
  else editor.redo();
}

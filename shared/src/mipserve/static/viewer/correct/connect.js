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
  addButton("Smaller", "a smaller region or brush", ",", () => resize(-1));
  addButton("Larger", "a larger region or brush", ".", () => resize(1));
  const undo = addButton("↶", "undo", "z", () => editor.undo()), redo = addButton("↷", "redo", "y", () => editor.redo());
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
  /** @param {Tool | null} tool */
  const choose = (tool) => {
    canvas.tool?.cancel();
    canvas.tool = tool;
    for (const [one, button] of buttons) button.ariaPressed = String(one === tool);
    canvas.element.focus({ preventScroll: true });
  };
  /** @type {[string, string, string, Tool | null][]} */
  const choices = [
    ["Look", "look around and choose lesions", "v", null],
    ["Grey", "darker or lighter: drag sideways for the width of the window of grey, up and down for its level", "w", windowTool],
    ["Click", "a click adds a lesion or removes one; drag sideways for more or less", "c", new ClickTool(editor)],
    ["Brush", "paint tumour", "b", new BrushTool(editor, true)],
    ["Eraser", "wipe tumour", "e", new BrushTool(editor, false)],
  ];
  for (const [shown, words, key, tool] of choices) buttons.set(tool, addButton(shown, words, key, () => choose(tool)));
  canvas.store.subscribe(["intensity"], () => choose(null));
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

// @ts-check
import { traceOutline } from "../outline.js";
/** @typedef {import("../types.js").State} State */
/** @typedef {import("./click_tool.js").ClickTool | import("./brush_tool.js").BrushTool} Corrector */

const COLOUR = { adds: "rgb(0 114 178)", removes: "rgb(204 0 51)" };
const CROSS = 12; // CSS pixels from the middle

/**
 * The layer that shows what a tool is about to do.
 *
 * @param {() => Corrector | null} current the tool
 * @param {import("./cross.js").Cross} cross of the keyboard
 * @returns {import("../layers.js").Layer}
 */
export function makePreview(current, cross) {
  return {
    draw(pen, state, scale) {
      const tool = current(), change = tool?.proposal(state), { place } = cross;
      if (change) outline(pen, state, change, scale);
      if (tool && place) drawCross(pen, place.x + 0.5, place.y + 0.5, CROSS / scale, scale);
    },
  };
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {State} state
 * @param {{adds: boolean, pixels: Iterable<number>}} change
 * @param {number} scale
 */
function outline(pen, { width, height }, { adds, pixels }, scale) {
  const region = new Uint8Array(width * height);
  let [top, left, bottom, right] = [height, width, 0, 0];
  for (const pixel of pixels) {
    const x = pixel % width, y = (pixel - x) / width;
    region[pixel] = 1;
    [top, left, bottom, right] = [Math.min(top, y), Math.min(left, x), Math.max(bottom, y + 1), Math.max(right, x + 1)];
  }
  const path = traceOutline(region, width, () => true, [top, left, bottom, right]);
  stroke(pen, path, 4 / scale, "rgb(255 255 255 / 85%)", []);
  stroke(pen, path, 2 / scale, adds ? COLOUR.adds : COLOUR.removes, adds ? [] : [4 / scale, 4 / scale]);
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {number} x
 * @param {number} y
 * @param {number} size
 * @param {number} scale
 */
function drawCross(pen, x, y, size, scale) {
  const path = new Path2D();
  for (const [dx, dy] of [[size, 0], [0, size]]) {
    path.moveTo(x - dx, y - dy);
    path.lineTo(x + dx, y + dy);
  }
  stroke(pen, path, 3 / scale, "rgb(255 255 255 / 85%)", []);
  stroke(pen, path, 1 / scale, "rgb(0 0 0)", []);
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Path2D} path
 * @param {number} width
 * @param {string} style
 * @param {number[]} dash
 */
function stroke(pen, path, width, style, dash) {
  pen.lineWidth = width;
  pen.strokeStyle = style;
  pen.setLineDash(dash);
  pen.stroke(path);
  pen.setLineDash([]);
}

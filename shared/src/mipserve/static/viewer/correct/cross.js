// @ts-check
/** @typedef {import("../types.js").Point} Point */

const FAR = 10; // pixels that an arrow key moves the cross; with shift it is one
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** A cross that the arrow keys move while there is a tool, so that every tool works without a pointer. */
export class Cross {
  /** @type {Point | null} a pixel of the image; null while a pointer is used */
  place = null;

  /**
   * @param {import("../canvas.js").Canvas} canvas
   * @param {() => import("./preview.js").Corrector | null} current the tool
   */
  constructor(canvas, current) {
    canvas.store.subscribe(["selected"], ({ selected }) => {
      if (selected) this.place = null; // it begins anew, at that lesion
    });
    canvas.element.addEventListener("pointermove", () => {
      this.place = null;
      if (current()) canvas.draw();
    });
    canvas.element.addEventListener("keydown", (event) => {
      const tool = current();
      if (!tool || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key in ARROWS) this.#move(canvas.store.state, ARROWS[event.key], event.shiftKey ? 1 : FAR);
      else if (event.key !== "Enter") return;
      event.preventDefault();
      event.stopImmediatePropagation(); // the arrows move the picture otherwise
      tool.place = this.place && { x: this.place.x + 0.5, y: this.place.y + 0.5 };
      if (event.key === "Enter" && this.place) tool.apply();
      canvas.draw();
    }, { capture: true });
  }

  /**
   * @param {import("../types.js").State} state
   * @param {[number, number]} direction
   * @param {number} step
   */
  #move({ width, height, selected, lesions }, [dx, dy], step) {
    const [row, column] = lesions[selected - 1]?.centroid ?? [height / 2, width / 2];
    const { x, y } = this.place ?? { x: Math.round(column), y: Math.round(row) };
    this.place = {
      x: Math.min(Math.max(x + step * dx, 0), width - 1),
      y: Math.min(Math.max(y + step * dy, 0), height - 1),
    };
  }
}

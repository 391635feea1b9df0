// @ts-check
import { View } from "./view.js";
/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./layers.js").Layer} Layer */
/**
 * @typedef {object} Tool what a pointer does to the image; x and y are pixels of the image, also outside of it
 * @property {string} cursor a CSS cursor
 * @property {(x: number, y: number, event: PointerEvent) => void} down
 * @property {(x: number, y: number, event: PointerEvent) => void} move also while nothing is pressed
 * @property {(x: number, y: number, event: PointerEvent) => void} up
 * @property {() => void} cancel a second finger has come, or the pointer was lost: as if `down` had not been
 */

const CRISP = 3; // CSS pixels per pixel from which the pixels are shown as they are
const CLOSE = 3; // the least scale at which a chosen place is shown
const CLICK = 5; // CSS pixels that a pointer may move in a click

/** The picture: layers under one view, and pointers that pan, zoom, or work with a tool. */
export class Canvas {
  /** @type {Tool | null} what the primary button and a single finger do; null: they pan */
  #tool = null;
  /** @type {Map<number, Point>} */
  #pointers = new Map();
  #isToolDown = false;
  #isDrawing = false;
  #moved = 0; // CSS pixels since a pointer came down

  /**
   * @param {HTMLCanvasElement} element as large as it is on the page
   * @param {import("./store.js").Store} store
   * @param {Layer[]} layers the lowest first; more may be added
   */
  constructor(element, store, layers) {
    this.element = element;
    this.store = store;
    this.layers = layers;
    this.view = new View();
    /** @type {((view: View) => void)[]} called after each drawing */
    this.onview = [];
    /** @type {(place: Point, isClick: boolean) => void} told where a pointer hovers or clicks while there is no tool */
    this.onpick = () => {};
    new ResizeObserver(() => this.#resize()).observe(element);
    element.addEventListener("wheel", (event) => this.#onwheel(event), { passive: false });
    element.addEventListener("pointerdown", (event) => this.#ondown(event));
    element.addEventListener("pointermove", (event) => this.#onmove(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      element.addEventListener(name, (event) => this.#onup(event));
    }
    element.addEventListener("pointerleave", () => this.onpick({ x: -1, y: -1 }, false));
    this.tool = null;
    store.subscribe(["intensity"], ({ width, height }) => this.view.setImage(width, height));
    store.subscribe(/** @type {(keyof State)[]} */ (Object.keys(store.state)), () => this.draw());
  }

  get tool() {
    return this.#tool;
  }

  set tool(tool) {
    this.#tool = tool;
    this.element.style.cursor = tool?.cursor ?? "grab";
    this.draw();
  }

  /** @param {number} factor above 1: closer; around the middle */
  zoom(factor) {
    this.view.zoom(factor);
    this.draw();
  }

  /**
   * @param {number} dx CSS pixels
   * @param {number} dy CSS pixels
   */
  pan(dx, dy) {
    this.view.pan(dx, dy);
    this.draw();
  }

  fit() {
    this.view.fit();
    this.draw();
  }

  /** @param {Point} place of the image, brought to the middle */
  show(place) {
    this.view.show(place, CLOSE);
    this.draw();
  }

  /**
   * @param {PointerEvent | WheelEvent} event
   * @returns {Point} pixels of the image
   */
  place(event) {
    return this.view.toImage(this.#point(event));
  }

  /** Draw before the next frame, once however often it is asked for. */
  draw() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const pen = this.element.getContext("2d"), { state } = this.store, { scale, x, y } = this.view;
    if (!pen) return;
    pen.resetTransform();
    pen.clearRect(0, 0, this.element.width, this.element.height);
    if (state.phase === "shown") {
      const ratio = this.element.width / Math.max(1, this.element.clientWidth);
      pen.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
      pen.imageSmoothingEnabled = scale < CRISP;
      pen.imageSmoothingQuality = scale < 1 ? "high" : "low"; // "high" takes long where it is enlarged
      for (const layer of this.layers) layer.draw(pen, state, scale);
    }
    // A finger scrolls the page while the whole image is in sight, and moves the image when it is closer.
    this.element.style.touchAction = this.#tool || !this.view.isFitted ? "none" : "pan-y";
    for (const listener of this.onview) listener(this.view);
  }

  #resize() {
    const { clientWidth, clientHeight } = this.element;
    this.element.width = Math.round(clientWidth * devicePixelRatio);
    this.element.height = Math.round(clientHeight * devicePixelRatio);
    this.view.setScreen(clientWidth, clientHeight);
    this.#drawNow(); // at once: a new size has cleared it
  }

  /** @param {PointerEvent | WheelEvent} event */
  #point(event) {
    const box = this.element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** @param {WheelEvent} event */
  #onwheel(event) {
    if (this.store.state.phase !== "shown") return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.002; // a pinch on a touchpad comes as small steps with ctrlKey
    this.view.zoom(Math.exp(-speed * lines * event.deltaY), this.#point(event));
    this.draw();
  }

  /** @param {PointerEvent} event */
  #ondown(event) {
    if (this.store.state.phase !== "shown") return;
    this.element.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#point(event));
    this.#moved = 0;
    if (this.#pointers.size > 1) this.#cancelTool();
    else if (this.#tool && event.button === 0) {
      const { x, y } = this.place(event);
      this.#isToolDown = true;
      this.#tool.down(x, y, event);
    }
  }

  /** @param {PointerEvent} event */
  #onmove(event) {
    const before = this.#pointers.get(event.pointerId), now = this.#point(event), { x, y } = this.view.toImage(now);
    if (before && !this.#isToolDown) this.#drag(event.pointerId, before, now);
    if (before) {
      this.#pointers.set(event.pointerId, now);
      this.#moved += Math.hypot(now.x - before.x, now.y - before.y);
    }
    if (this.#pointers.size > 1) return;
    if (this.#tool) this.#tool.move(x, y, event);
    else if (!before) this.onpick({ x, y }, false);
  }

  /** @param {PointerEvent} event */
  #onup(event) {
    const wasDown = this.#pointers.delete(event.pointerId);
    if (!this.#isToolDown) {
      if (wasDown && !this.#tool && event.type === "pointerup" && this.#moved < CLICK) this.onpick(this.place(event), true);
      return;
    }
    if (event.type === "pointercancel") return this.#cancelTool();
    const { x, y } = this.place(event);
    this.#isToolDown = false;
    this.#tool?.up(x, y, event);
  }

  #cancelTool() {
    if (this.#isToolDown) this.#tool?.cancel();
    this.#isToolDown = false;
  }

  /**
   * Move the image with one pointer; with two, keep both on the places of the image where they are.
   * @param {number} id
   * @param {Point} before
   * @param {Point} now
   */
  #drag(id, before, now) {
    const other = [...this.#pointers].find(([one]) => one !== id)?.[1];
    if (other) {
      const length = (/** @type {Point} */ p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
      this.view.zoom(length(now) / length(before), other);
    } else {
      this.view.pan(now.x - before.x, now.y - before.y);
    }
    this.draw();
  }
}

// @ts-check
import { at } from "./dom.js";
import { fileOf } from "./job.js";
import { TOP_SUV, windowOf } from "./window.js";
/** @typedef {import("./types.js").Volume} Volume */

const FILES = ["suv.nii.gz", "mask.nii.gz"];
const MASK_OPACITY = 0.45;
const MULTIPLANAR = 3; // NiiVue's name for three slices at once
const NEVER = 0;
/** @type {Record<string, number[]>} voxels to the patient's right, front and head; on the picture the right is at the left */
const STEPS = {
  ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1],
  PageUp: [0, 1, 0], PageDown: [0, -1, 0],
};

/** @type {boolean | undefined} whether this browser can draw them, once that was asked */
let canDraw;

/**
 * @param {Volume} volume
 * @returns {string} why there are no slices of it; empty: there are
 */
export function whyNoPlanes({ files }) {
  if (!FILES.every((name) => files.some((file) => file.name === name))) return "the volume has no SUV";
  canDraw ??= document.createElement("canvas").getContext("webgl2") !== null;
  return canDraw ? "" : "this browser has no WebGL 2, which they are drawn with";
}

/** Three slices through a volume, drawn by NiiVue, which is loaded with the first of them. */
export class Planes {
  /** @type {any} NiiVue's drawing of the canvas */
  #drawing = null;
  /** @type {Volume | null} the one that is drawn or on its way */
  #volume = null;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    store.subscribe(["look", "volume"], ({ look, volume }) => {
      if (!volume) this.#forget();
      else if (look === "planes" && volume !== this.#volume) this.#open(volume);
    });
    store.subscribe(["lesion3d"], () => this.#jump());
    store.subscribe(["darkIsHot", "window", "look"], () => this.#colour());
    // In the place of NiiVue's own keys, which work only where the pointer is.
    at("planes-frame").addEventListener("keydown", (event) => this.#onkey(event), { capture: true });
  }

  /** @param {KeyboardEvent} event */
  #onkey(event) {
    const step = STEPS[event.key], turn = { n: 1, p: -1 }[event.key];
    if (event.key === "Tab" || event.key === "Escape" || event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    if (step || turn) event.preventDefault();
    if (step && this.#drawing?.volumes.length) this.#drawing.moveCrosshairInVox(...step);
    if (turn) this.#choose(turn);
  }

  /** @param {number} turn 1: the next lesion, -1: the one before */
  #choose(turn) {
    const { volume, lesion3d } = this.store.state, count = volume?.lesions.length ?? 0;
    if (count > 0) this.store.update({ lesion3d: lesion3d ? ((lesion3d - 1 + turn + count) % count) + 1 : turn > 0 ? 1 : count });
  }

  /** @param {Volume} volume */
  async #open(volume) {
    this.#volume = volume;
    this.#say("Loading the slices …");
    try {
      this.#drawing ??= await makeDrawing(/** @type {HTMLCanvasElement} */ (at("planes-picture")));
      const [suv, mask] = FILES.map((name) => ({ url: new URL(fileOf(volume.id, name), document.baseURI).href, name }));
      await this.#drawing.loadVolumes([
        { ...suv, colormap: "gray", cal_min: 0, cal_max: TOP_SUV },
        { ...mask, colormap: "red", opacity: MASK_OPACITY, cal_min: 0.5, cal_max: 1 },
      ]);
    } catch (error) {
      if (volume !== this.#volume) return;
      this.#volume = null; // it may be tried again
      return this.#say(`The slices can't be shown. ${error instanceof Error ? error.message : error}`);
    }
    if (volume !== this.#volume) return;
    this.#say("");
    this.#colour();
    this.#jump();
  }

  /** Show what is hot dark, or bright, within the window. */
  #colour() {
    const { darkIsHot, look } = this.store.state, [suv] = this.#drawing?.volumes ?? [];
    if (!suv || look !== "planes") return;
    const { low, high } = windowOf(this.store.state);
    [suv.cal_min, suv.cal_max] = [TOP_SUV * low, TOP_SUV * high];
    suv.colormapInvert = darkIsHot;
    this.#drawing.opts.backColor = darkIsHot ? [1, 1, 1, 1] : [0, 0, 0, 1];
    this.#drawing.updateGLVolume();
  }

  /** Bring the slices to the chosen lesion. */
  #jump() {
    const { lesion3d, volume } = this.store.state;
    const lesion = volume?.lesions.find(({ id }) => id === lesion3d);
    if (!lesion || !this.#drawing?.volumes.length) return;
    const [left, back, head] = lesion.centroid_mm; // LPS; NiiVue counts to the right and to the front
    this.#drawing.scene.crosshairPos = this.#drawing.mm2frac([-left, -back, head]);
    this.#drawing.createOnLocationChange();
    this.#drawing.drawScene();
  }

  #forget() {
    this.#volume = null;
    for (const volume of [...(this.#drawing?.volumes ?? [])]) this.#drawing.removeVolume(volume);
  }

  /** @param {string} words */
  #say(words) {
    at("planes-words").textContent = words;
  }
}

/** @param {HTMLCanvasElement} canvas */
async function makeDrawing(canvas) {
  const { Niivue } = /** @type {any} */ (await import("../vendor/niivue.js")); // of which no types can be told
  const drawing = new Niivue({
    crosshairColor: [0, 0.45, 0.7, 0.8], fontColor: [0.3, 0.3, 0.3, 1],
    dragAndDropEnabled: false, isRadiologicalConvention: true, multiplanarShowRender: NEVER, logLevel: "silent",
    sliceType: MULTIPLANAR, loadingText: "",
  });
  drawing.onLocationChange = (/** @type {{mm: number[], values: {value: number}[]}} */ { mm, values }) => {
    const place = [-mm[0], -mm[1], mm[2]].map(Math.round).join(", ");
    at("planes-place").textContent = `SUV ${values[0]?.value.toFixed(1)} at ${place} mm (left, back, head)`;
  };
  await drawing.attachToCanvas(canvas);
  return drawing;
}

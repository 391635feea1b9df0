// Corrections by clicks, simulated with the modules that the page runs; clicks.py writes the cases and reads the answers.
//
//   node clicks.mjs FOLDER [--examples FILE] [--drag]
//
// FOLDER/cases.json is a list of {id, fold, width, height, rule, miss}; FOLDER/ID.{reference,intensity,probability,mask}
// hold one byte per pixel. A case without a rule is corrected perfectly: the whole error is repaired by its click. Clicks
// are at most `miss` pixels from the centre of the error, and in it.
import { createHash } from "node:crypto";
import { openSync, readFileSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { signedDistance } from "../shared/src/mipserve/static/viewer/correct/distance.js";
import { correctionAt } from "../shared/src/mipserve/static/viewer/correct/grow.js";
import { FEATURES, Neighbourhood } from "../shared/src/mipserve/static/viewer/correct/neighbourhood.js";
import { measureLesions } from "../shared/src/mipserve/static/viewer/lesions.js";

const CLICKS = 10;
const EXAMPLES = { least: 4, rows: 400, rim: 5, far: 0.02 }; // of errors of at least so many pixels; see below
const DRAG = [0, -1.5, -0.75, 0.75, 1.5]; // how far a hand may drag an outline, in log odds

/** The components of both kinds of error, the largest first. */
function errorsOf({ reference, mask, width }) {
  const errors = [];
  for (const adds of [true, false]) {
    const wrong = new Uint8Array(mask.length);
    for (let pixel = 0; pixel < wrong.length; pixel++) {
      wrong[pixel] = adds ? reference[pixel] & (1 - mask[pixel]) : mask[pixel] & (1 - reference[pixel]);
    }
    const nothing = { intensity: wrong, probability: wrong, spacing: null };
    const { labels, lesions } = measureLesions(wrong, width, nothing);
    for (const { id, area, bbox } of lesions) errors.push({ adds, id, area, bbox, labels });
  }
  return errors.sort((a, b) => b.area - a.area);
}

/** The pixel of a component that is farthest from its edge; autoPET IV's "centre". */
function centreOf({ labels, id, bbox: [top, left, bottom, right] }, width) {
  const columns = right - left + 4, inside = new Uint8Array(columns * (bottom - top + 4)).fill(2);
  for (let y = top - 1; y <= bottom; y++) {
    for (let x = left - 1; x <= right; x++) {
      const isInside = x >= 0 && x < width && labels[y * width + x] === id;
      inside[(y - top + 2) * columns + x - left + 2] = isInside ? 1 : 0;
    }
  }
  const distance = signedDistance(inside, columns);
  const deepest = distance.reduce((best, value, pixel) => (value < distance[best] ? pixel : best), 0);
  const column = deepest % columns;
  return { x: left - 2 + column, y: top - 2 + (deepest - column) / columns };
}

/** A pixel of a component that is drawn from those at most `miss` pixels from its centre. */
function drawnFrom({ labels, id, bbox: [top, left, bottom, right] }, centre, { width, miss, random }) {
  const places = [];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (labels[y * width + x] === id && Math.hypot(x - centre.x, y - centre.y) <= miss) places.push({ x, y });
    }
  }
  return places[Math.floor(random() * places.length)];
}

/** Random numbers from 0 to 1, the same for the same name; xorshift (Marsaglia 2003, J Stat Softw 8(14)). */
function makeRandom(name) {
  let state = createHash("sha256").update(name).digest().readInt32LE() | 1; // so that numbers for similar names are unlike
  return () => {
    for (const shift of [(value) => value << 13, (value) => value >>> 17, (value) => value << 5]) state ^= shift(state);
    return (state >>> 0) / 2 ** 32;
  };
}

function diceOf(reference, mask) {
  let both = 0, sum = 0;
  for (let pixel = 0; pixel < mask.length; pixel++) {
    both += reference[pixel] & mask[pixel];
    sum += reference[pixel] + mask[pixel];
  }
  return sum ? (2 * both) / sum : 1;
}

function corrected(mask, { adds, pixels }) {
  const after = mask.slice();
  for (const pixel of pixels) after[pixel] = adds ? 1 : 0;
  return after;
}

/** The mask after a click on an error; with `drag`, of the outlines that a hand can drag to, the best. */
function click(state, error, { x, y }, drag, times) {
  if (!state.rule) {
    const mask = state.mask.slice();
    for (let pixel = 0; pixel < mask.length; pixel++) if (error.labels[pixel] === error.id) mask[pixel] ^= 1;
    return mask;
  }
  const masks = (drag ? DRAG : [0]).map((more) => {
    const start = performance.now(), correction = correctionAt(state, x, y, more, state.rule);
    times.push(performance.now() - start);
    return corrected(state.mask, correction);
  });
  const dice = masks.map((mask) => diceOf(state.reference, mask));
  return masks[dice.indexOf(Math.max(...dice))];
}

/** Write rows of FEATURES numbers, and whether the pixel is wrong, for pixels near a click and the mask's outlines. */
function writeExamples(file, state, error, { x, y }, index) {
  const around = new Neighbourhood(state, x, y);
  const own = around.removes ? 1 : 0, near = 2 * Math.sqrt(error.area) + 6, wanted = [];
  for (let pixel = 0; pixel < around.mask.length; pixel++) {
    if (around.mask[pixel] !== own) continue;
    const column = pixel % around.width, row = (pixel - column) / around.width;
    const dx = around.origin.x + column - x, dy = around.origin.y + row - y, place = (y + dy) * state.width + x + dx;
    const isNear = Math.hypot(dx, dy) <= near || error.labels[place] === error.id;
    if (isNear || Math.abs(around.distance[pixel]) < EXAMPLES.rim || state.random() < EXAMPLES.far) wanted.push([pixel, place]);
  }
  const kept = wanted.filter(() => state.random() * wanted.length < EXAMPLES.rows);
  const rows = new Float32Array(kept.length * (FEATURES + 1));
  kept.forEach(([pixel, place], n) => {
    const row = rows.subarray(n * (FEATURES + 1), (n + 1) * (FEATURES + 1));
    around.describe(pixel, row.subarray(0, FEATURES));
    row[FEATURES] = own ? 1 - state.reference[place] : state.reference[place];
  });
  writeSync(file, new Uint8Array(rows.buffer));
  const tumour = state.reference.reduce((sum, inside) => sum + inside, 0);
  index.push({
    fold: state.fold, removes: around.removes, rows: kept.length, pixels: wanted.length, area: error.area, tumour,
  });
}

const { values: options, positionals: [folder] } = parseArgs({
  allowPositionals: true, options: { examples: { type: "string" }, drag: { type: "boolean", default: false } },
});
const file = options.examples && openSync(options.examples, "w"), index = [], times = [], cases = {};
for (const { id, fold, width, height, rule, miss } of JSON.parse(readFileSync(`${folder}/cases.json`, "utf8"))) {
  const read = (name) => new Uint8Array(readFileSync(`${folder}/${id}.${name}`));
  const state = {
    fold, width, height, rule, miss, clicks: [], random: makeRandom(id),
    ...Object.fromEntries(["reference", "intensity", "probability", "mask"].map((name) => [name, read(name)])),
  };
  cases[id] = [diceOf(state.reference, state.mask)];
  for (let n = 0; n < CLICKS; n++) {
    const [error] = errorsOf(state);
    if (error) {
      const centre = centreOf(error, width), place = drawnFrom(error, centre, state);
      if (file && error.area >= EXAMPLES.least) {
        for (const at of miss ? [centre, place] : [centre]) writeExamples(file, state, error, at, index);
      }
      const after = click(state, error, place, options.drag, times);
      state.clicks.push({ ...place, adds: error.adds });
      state.mask = after;
    }
    cases[id].push(diceOf(state.reference, state.mask));
  }
}
process.stdout.write(JSON.stringify({ dice: cases, milliseconds: times, index }));

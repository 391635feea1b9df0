// @ts-check
import { readPalettePng } from "./palette_png.js";
import { PITCH_MM, decodeGrey } from "./pixels.js";
import { ServiceError, asError, readJson } from "./problem.js";
import { shown } from "./shown.js";
/** @typedef {import("./types.js").State} State */
/** @typedef {(text: string, share: number | null) => void} OnStep */

const POLL_MS = 400;

/** @param {string} id of a job */
const addressOf = (id) => `v1/jobs/${encodeURIComponent(id)}`;

/**
 * @param {string} id of a job
 * @param {string} name of one of its files
 */
export const fileOf = (id, name) => `${addressOf(id)}/result/${encodeURIComponent(name)}`;

/**
 * Wait for a volume's job, and read what is to be shown of it.
 *
 * @param {string} id of the job
 * @param {OnStep} onstep told what is being done
 * @param {AbortSignal} signal ends the job and removes its files, also once they are shown
 * @returns {Promise<Partial<State>>}
 * @throws {ServiceError}
 */
export async function readVolume(id, onstep, signal) {
  signal.addEventListener("abort", () => forgetJob(id));
  const { files } = await waitFor(id, onstep, signal);
  return readResults(id, files, signal);
}

/**
 * Let a volume's job measure another mask of the projection and make its files anew.
 *
 * @param {string} id of the job, which is done
 * @param {Blob} mask a PNG, black and white
 * @param {OnStep} onstep told what is being done
 * @param {AbortSignal} signal as of `readVolume`
 * @returns {Promise<Partial<State>>}
 * @throws {ServiceError} also where the job keeps its earlier files
 */
export async function correctVolume(id, mask, onstep, signal) {
  const headers = { "Content-Type": "image/png" };
  const answer = await fetch(`${addressOf(id)}/mask`, { method: "PUT", headers, body: mask, signal });
  if (!answer.ok) throw await asError(readJson(await answer.text()));
  const { files, problem } = await waitFor(id, onstep, signal);
  if (problem) throw await asError(problem);
  return readResults(id, files, signal);
}

/**
 * @param {string} id of the job, which is done
 * @param {{name: string, size: number}[]} files
 * @param {AbortSignal} signal
 * @returns {Promise<Partial<State>>}
 */
async function readResults(id, files, signal) {
  const read = async (/** @type {string} */ name) => (await fetch(fileOf(id, name), { signal })).blob();
  const [image, mask, probability, turned] = await Promise.all(
    ["mip.png", "mask.png", "probability.png", "rotation.png"].map(async (name) => decodeGrey(await read(name))));
  const { numbers } = await readPalettePng(await read("rotation_lesions.png"));
  const found = readJson(await (await read("measurements.json")).text());
  const { model: name, model_sha256: sha256, has_tumour, warnings, lesions, patient, rotation } = found;
  const { angles, frames, columns, frame_px: framePx, pixel_mm: pixelMm, colours: palette } = rotation;
  const intensity = turned.grey.map((value) => 255 - value);
  const film = { intensity, numbers, angles, frames, columns, framePx, pixelMm, palette };
  const label = lesions.length > 0 ? "tumor" : "healthy", picture = shown(image, mask, probability);
  return {
    ...picture, spacing: [PITCH_MM, PITCH_MM], volume: { id, files, lesions, patient, film, mask: picture.mask },
    answer: { classification: { label, probability: has_tumour, threshold: null }, warnings, model: { name, sha256 } },
  };
}

/**
 * Remove a job with all of its files, also while the page is being left.
 * @param {string} id
 */
function forgetJob(id) {
  fetch(addressOf(id), { method: "DELETE", keepalive: true }).catch(() => {}); // the service removes it later by itself
}

/**
 * @param {string} id
 * @param {OnStep} onstep
 * @param {AbortSignal} signal
 * @returns {Promise<{files: {name: string, size: number}[], problem: {code: string, detail: string} | null}>} the job, done
 */
async function waitFor(id, onstep, signal) {
  for (;;) {
    const answer = await fetch(addressOf(id), { signal }), job = readJson(await answer.text());
    if (!answer.ok) throw await asError(job);
    if (job.state === "done") return job;
    if (job.state === "failed") throw await asError(job.problem);
    if (job.state === "cancelled") throw new ServiceError("This was cancelled", "Somebody else ended it. Open it again.");
    onstep(`${job.doing[0].toUpperCase()}${job.doing.slice(1)} …`, job.progress);
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

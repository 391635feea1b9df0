// @ts-check
import { decodeGrey } from "./pixels.js";
import { ServiceError, asError, readJson } from "./problem.js";
import { shown } from "./shown.js";
/** @typedef {import("./types.js").State} State */

const POLL_MS = 400;
const PITCH_MM = 2; // of the image that the service makes of a volume

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
 * @param {(text: string, share: number | null) => void} onstep told what is being done
 * @param {AbortSignal} signal ends the job and removes its files, also once they are shown
 * @returns {Promise<Partial<State>>}
 * @throws {ServiceError}
 */
export async function readVolume(id, onstep, signal) {
  signal.addEventListener("abort", () => forgetJob(id));
  const { files } = await waitFor(id, onstep, signal);
  /** @type {(name: string) => Promise<Response>} */
  const read = (name) => fetch(fileOf(id, name), { signal });
  const [image, mask, probability] = await Promise.all(
    ["mip.png", "mask.png", "probability.png"].map(async (name) => decodeGrey(await (await read(name)).blob())));
  const [grey, colours] = await Promise.all(
    ["rotation.png", "rotation_lesions.png"].map(async (name) => createImageBitmap(await (await read(name)).blob())));
  const found = readJson(await (await read("measurements.json")).text());
  const { model: name, model_sha256: sha256, has_tumour, warnings, lesions, patient, rotation } = found;
  const { angles, frames, columns, frame_px: framePx, pixel_mm: pixelMm, colours: palette } = rotation;
  const film = { grey, colours, angles, frames, columns, framePx, pixelMm, palette };
  const label = lesions.length > 0 ? "tumor" : "healthy";
  return {
    ...shown(image, mask, probability), spacing: [PITCH_MM, PITCH_MM], volume: { id, files, lesions, patient, film },
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
 * @param {(text: string, share: number | null) => void} onstep
 * @param {AbortSignal} signal
 * @returns {Promise<{files: {name: string, size: number}[]}>} the job, done
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

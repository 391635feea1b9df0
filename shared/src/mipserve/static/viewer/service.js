// @ts-check
import { readVolume } from "./job.js";
import { decodeBase64 } from "./pixels.js";
import { ServiceError, asError, readJson } from "./problem.js";
import { shown, toMask } from "./shown.js";
import { isPicture } from "./sort.js";
/** @typedef {import("./types.js").State} State */

/**
 * Segment an image.
 *
 * @param {Blob} file
 * @param {object} options
 * @param {number | null} options.pixelSize millimetres, if known
 * @param {(text: string, share: number | null) => void} options.onstep told what is being done
 * @param {AbortSignal} options.signal ends it, here and on the service
 * @returns {Promise<Partial<State>>} what is to be shown
 * @throws {ServiceError}
 */
export async function segment(file, { pixelSize, onstep, signal }) {
  const form = new FormData();
  form.append("file", file, "image"); // what the file is called is nobody's business
  if (!(await isPicture(file))) form.append("formats", "png,nifti,seg,sr,suv"); // the slices need the SUV
  if (pixelSize) form.append("pixel_spacing", `${pixelSize},${pixelSize}`);
  const { status, text } = await post("v1/segment", form, onstep, signal);
  const content = readJson(text);
  if (status === 202) return readVolume(content.id, onstep, signal);
  if (status !== 200) throw await asError(content);
  const [image, mask, probability] = await Promise.all(
    [content.image, content.mask, content.probability].map(decodeBase64));
  const { classification, warnings, model, temperature, spacing_mm: spacing } = content;
  return { ...shown(image, mask, probability), answer: { classification, warnings, model }, temperature, spacing };
}

/**
 * Ask for the mask of `/tumor/predict`: of a team's own function, where it has one.
 *
 * @param {Blob} file
 * @returns {Promise<Uint8Array>} 0 or 1
 * @throws {ServiceError}
 */
export async function predict(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const img = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("tumor/predict", { method: "POST", headers, body: JSON.stringify({ img }) });
  const content = readJson(await answer.text());
  if (!answer.ok) throw await asError(content);
  return toMask((await decodeBase64(content.img)).grey);
}

/**
 * `fetch` tells nothing of how much has been sent.
 *
 * @param {string} address
 * @param {FormData} form
 * @param {(text: string, share: number | null) => void} onstep
 * @param {AbortSignal} signal
 * @returns {Promise<{status: number, text: string}>}
 */
function post(address, form, onstep, signal) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.upload.onprogress = ({ loaded, total }) => onstep("Sending the file …", loaded / total);
    request.upload.onload = () => onstep("Looking for tumours …", null);
    request.onload = () => done({ status: request.status, text: request.responseText });
    request.onerror = () => fail(new ServiceError("The service does not answer", "Is it still running? Try it again."));
    request.onabort = () => fail(signal.reason);
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

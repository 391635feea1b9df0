// @ts-check
import { decodeBase64 } from "./pixels.js";
import { thresholdOf } from "./operating_point.js";
/** @typedef {import("./types.js").State} State */

/** What the service, or the way to it, has to say against a file. */
export class ServiceError extends Error {
  /**
   * @param {string} title in a few words
   * @param {string} detail what is wrong and what would work
   */
  constructor(title, detail) {
    super(detail);
    this.title = title;
  }
}

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
  if (pixelSize) form.append("pixel_spacing", `${pixelSize},${pixelSize}`);
  const { status, text } = await post("v1/segment", form, onstep, signal);
  const content = read(text);
  if (status === 202) await refuseVolume(content.id);
  if (status !== 200) throw await asError(content);
  const [image, mask, probability] = await Promise.all(
    [content.image, content.mask, content.probability].map(decodeBase64));
  const ownMask = toMask(mask.grey);
  checkPixels(ownMask, content.lesions);
  const threshold = thresholdOf(ownMask, probability.grey);
  const { classification, warnings, model, temperature, spacing_mm: spacing } = content;
  return {
    phase: "shown", answer: { classification, warnings, model }, width: image.width, height: image.height, spacing,
    intensity: image.grey.map((value) => 255 - value), probability: probability.grey,
    mask: ownMask, ownMask, threshold, ownThreshold: threshold, temperature, edited: false,
  };
}

/**
 * Some browsers hand out noise instead of pixels, against fingerprinting; it would be shown as lesions.
 *
 * @param {Uint8Array} mask 0 or 1
 * @param {{area_px: number}[]} lesions as the service measured them
 */
function checkPixels(mask, lesions) {
  const pixels = mask.reduce((sum, inside) => sum + inside, 0);
  if (pixels === lesions.reduce((sum, { area_px: area }) => sum + area, 0)) return;
  const words = "This browser changes the pixels of pictures, against fingerprinting. Allow this page to read its canvas.";
  throw new ServiceError("The image can't be shown", words);
}

/**
 * A volume has become a job, which nobody would look at: nothing of it is to stay on the service.
 *
 * @param {string} id of the job
 * @returns {Promise<never>}
 */
async function refuseVolume(id) {
  await fetch(`v1/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
  const words = "This page shows PNG and JPEG. Of a volume, mipseg segment FILE -o out/ makes an image and measures it.";
  throw new ServiceError("Volumes are not shown here yet", words);
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
  const content = read(await answer.text());
  if (!answer.ok) throw await asError(content);
  return toMask((await decodeBase64(content.img)).grey);
}

/** @param {Uint8Array} grey */
const toMask = (grey) => grey.map((value) => (value > 127 ? 1 : 0));

/**
 * @param {{code?: string, detail?: string}} problem as RFC 9457 has it
 * @returns {Promise<ServiceError>}
 */
async function asError({ code = "", detail = "the service gives no reason" }) {
  const titles = await fetch("static/problems.json").then((answer) => answer.json(), () => ({}));
  const words = detail.replace(/^img\b/, "the image"); // as the field of a request is called
  return new ServiceError(sentence(titles[code] ?? "this did not work"), `${sentence(words)}.`);
}

/**
 * @param {string} text
 * @returns {any} an object
 */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ServiceError("This did not work", "The service answered something that can't be read. Try it again.");
  }
}

/** @param {string} words */
const sentence = (words) => words[0].toUpperCase() + words.slice(1).replace(/\.$/, "");

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
    request.upload.onprogress = ({ loaded, total }) => onstep("Sending the image …", loaded / total);
    request.upload.onload = () => onstep("Looking for tumours …", null);
    request.onload = () => done({ status: request.status, text: request.responseText });
    request.onerror = () => fail(new ServiceError("The service does not answer", "Is it still running? Try it again."));
    request.onabort = () => fail(signal.reason);
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

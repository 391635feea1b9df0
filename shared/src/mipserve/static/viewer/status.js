// @ts-check
import { at } from "./dom.js";
import { limits } from "./folder.js";

const AGAIN_MS = 1000;

/**
 * Show whether the service is ready, and ask until it is; take its limits over.
 * @returns {Promise<string>} its version
 */
export async function watchStatus() {
  const badge = at("status");
  try {
    const isReady = (await fetch("readyz")).ok, { version, limits: told } = await (await fetch("api")).json();
    Object.assign(limits, { files: told.max_files, bytes: told.max_upload_bytes });
    badge.textContent = isReady ? "ready" : "starting …";
    badge.classList.toggle("good", isReady);
    if (!isReady) setTimeout(watchStatus, AGAIN_MS);
    return version;
  } catch {
    badge.textContent = "not reachable";
    return "of unknown version";
  }
}

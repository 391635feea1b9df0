// @ts-check
import { at } from "./dom.js";

const AGAIN_MS = 1000;

/**
 * Show whether the service is ready, and ask until it is.
 * @returns {Promise<string>} its version
 */
export async function watchStatus() {
  const badge = at("status");
  try {
    const isReady = (await fetch("readyz")).ok, { version } = await (await fetch("api")).json();
    badge.textContent = isReady ? "ready" : "starting …";
    badge.classList.toggle("good", isReady);
    if (!isReady) setTimeout(watchStatus, AGAIN_MS);
    return version;
  } catch {
    badge.textContent = "not reachable";
    return "of unknown version";
  }
}

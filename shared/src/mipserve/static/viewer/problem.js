// @ts-check

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
 * @param {{code?: string, detail?: string}} problem as RFC 9457 has it
 * @returns {Promise<ServiceError>}
 */
export async function asError({ code = "", detail = "the service gives no reason" }) {
  const titles = await fetch("static/problems.json").then((answer) => answer.json(), () => ({}));
  const words = detail.replace(/^img\b/, "the image"); // as the field of a request is called
  return new ServiceError(sentence(titles[code] ?? "this did not work"), `${sentence(words)}.`);
}

/**
 * @param {string} text
 * @returns {any} an object
 */
export function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ServiceError("This did not work", "The service answered something that can't be read. Try it again.");
  }
}

/** @param {string} words */
const sentence = (words) => words[0].toUpperCase() + words.slice(1).replace(/\.$/, "");

// @ts-check

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T} the element of the page
 */
export function at(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (found);
}

/** @param {string} id @returns {HTMLInputElement} */
export const input = (id) => at(id);

/**
 * @param {string} id of a button
 * @param {() => void} action
 */
export const onclick = (id, action) => at(id).addEventListener("click", action);

/**
 * @param {string} name of the element
 * @param {Record<string, unknown>} [properties]
 * @param {(Node | string)[]} content
 * @returns {HTMLElement}
 */
export function make(name, properties = {}, ...content) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...content);
  return element;
}

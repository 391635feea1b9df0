// @ts-check

/** @param {number} p @returns {string} a probability for people */
export function percent(p) {
  if (p >= 0.995) return "more than 99 %";
  return p < 0.005 ? "less than 1 %" : `${Math.round(100 * p)} %`;
}

/**
 * @param {number} pixels
 * @param {[number, number] | null} spacing millimetres
 * @returns {string} an area with its unit
 */
export function area(pixels, spacing) {
  if (!spacing) return `${pixels} px`;
  return `${((pixels * spacing[0] * spacing[1]) / 100).toFixed(1)} cm²`;
}

/**
 * @param {number} number
 * @param {string} one its word in the singular
 * @param {string} [many] in the plural
 */
export const count = (number, one, many = `${one}s`) => `${number === 0 ? "no" : number} ${number === 1 ? one : many}`;

// @ts-check
/** @typedef {import("./types.js").Lesion} Lesion */

/**
 * Find the components (8-connected) of a mask and measure them, as the service does.
 *
 * @param {Uint8Array} mask 0 or 1
 * @param {number} width
 * @param {{intensity: Uint8Array, probability: Uint8Array, spacing: [number, number] | null}} image of the same size
 * @returns {{labels: Uint32Array, lesions: Lesion[]}} labels: 0 outside, else the lesion's id; largest first
 */
export function measureLesions(mask, width, { intensity, probability, spacing }) {
  const components = findComponents(mask, width);
  // Equally large ones keep the order of their first pixels.
  components.sort((a, b) => b.length - a.length || a[0] - b[0]);
  const labels = new Uint32Array(mask.length);
  const lesions = components.map((pixels, index) => {
    for (const pixel of pixels) labels[pixel] = index + 1;
    const areaMm2 = spacing && pixels.length * spacing[0] * spacing[1];
    return { id: index + 1, areaMm2, ...measure(pixels, width, intensity, probability) };
  });
  return { labels, lesions };
}

/**
 * @param {Uint8Array} mask
 * @param {number} width
 * @returns {number[][]} the pixels of each component, its first in reading order at index 0
 */
function findComponents(mask, width) {
  const seen = new Uint8Array(mask.length), components = [];
  for (let start = mask.indexOf(1); start >= 0; start = mask.indexOf(1, start + 1)) {
    if (seen[start]) continue;
    const pixels = [start];
    seen[start] = 1;
    for (let next = 0; next < pixels.length; next++) {
      const pixel = pixels[next], column = pixel % width;
      const left = column > 0 ? -1 : 0, right = column < width - 1 ? 1 : 0;
      for (let row = pixel - width; row <= pixel + width; row += width) {
        for (let other = row + left; other <= row + right; other++) {
          if (mask[other] && !seen[other]) { // undefined outside of the image
            seen[other] = 1;
            pixels.push(other);
          }
        }
      }
    }
    components.push(pixels);
  }
  return components;
}

/**
 * @param {number[]} pixels
 * @param {number} width
 * @param {Uint8Array} intensity
 * @param {Uint8Array} probability
 * @returns {Pick<Lesion, "area" | "bbox" | "centroid" | "intensity" | "probability">}
 */
function measure(pixels, width, intensity, probability) {
  let [top, left, bottom, right] = [Infinity, Infinity, 0, 0];
  let [rows, columns, heat, certainty] = [0, 0, 0, 0];
  for (const pixel of pixels) {
    const row = Math.floor(pixel / width), column = pixel % width;
    [top, left] = [Math.min(top, row), Math.min(left, column)];
    [bottom, right] = [Math.max(bottom, row + 1), Math.max(right, column + 1)];
    rows += row;
    columns += column;
    heat += intensity[pixel];
    certainty += probability[pixel];
  }
  const area = pixels.length;
  return {
    area, bbox: [top, left, bottom, right], centroid: [rows / area, columns / area],
    intensity: heat / area / 255, probability: certainty / area / 255,
  };
}

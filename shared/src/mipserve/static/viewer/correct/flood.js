// @ts-check
/**
 * @typedef {object} Flood
 * @property {Int16Array} level of each pixel: how high the path from the start stays, 0 to 255; -1: not reached
 * @property {Int32Array} area how many pixels have at least each level
 */

/**
 * Flood a landscape from one pixel, the highest pixels first.
 *
 * A pixel's level is the highest at which a path (8 neighbours) leads from the start to it: its fuzzy connectedness
 * (Udupa and Samarasekera 1996, Graph Models Image Process 58:246-261). The pixels of at least one level are one
 * isocontour's inside, so the levels order all of those that hold the start.
 *
 * @param {Uint8Array} heights row by row
 * @param {Uint8Array} domain 1 where the flood may go; 0 along the image's border
 * @param {number} width
 * @param {number} start a pixel
 * @returns {Flood}
 */
export function flood(heights, domain, width, start) {
  const steps = [1, -1, width, -width, width + 1, width - 1, -width + 1, -width - 1];
  const level = new Int16Array(heights.length).fill(-1), area = new Int32Array(256);
  const first = new Int32Array(256).fill(-1), next = new Int32Array(heights.length); // a list for each level
  /** @param {number} pixel @param {number} height */
  const put = (pixel, height) => {
    level[pixel] = height;
    next[pixel] = first[height];
    first[height] = pixel;
  };
  put(start, heights[start]);
  let reached = 0;
  for (let current = heights[start]; current >= 0; current--) {
    while (first[current] >= 0) {
      const pixel = first[current];
      first[current] = next[pixel];
      reached++;
      for (let n = 0; n < 8; n++) {
        const other = pixel + steps[n];
        if (domain[other] && level[other] < 0) put(other, Math.min(current, heights[other]));
      }
    }
    area[current] = reached;
  }
  return { level, area };
}

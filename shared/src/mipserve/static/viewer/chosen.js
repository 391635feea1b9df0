// @ts-check
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").VolumeLesion} VolumeLesion */

const REACH = 15; // pixels (30 mm) around a centre in which its component is looked for

/**
 * Let a pointer over a picture mark lesions, and choose one by a click.
 * @param {import("./canvas.js").Canvas} canvas
 */
export function pickLesions(canvas) {
  canvas.onpick = ({ x, y }, isClick) => {
    const { width, height, labels } = canvas.store.state, isInside = x >= 0 && y >= 0 && x < width && y < height;
    const id = isInside ? labels[Math.floor(y) * width + Math.floor(x)] : 0;
    canvas.store.update(isClick ? { selected: id } : { hovered: id });
  };
}

/**
 * Which component of the projection's mask a volume's lesion shows in.
 *
 * @param {Pick<State, "labels" | "width" | "height">} state
 * @param {VolumeLesion} lesion
 * @returns {number} its id; that of the nearest one, as a lesion's centre need not lie in it; 0: none is near
 */
export function componentOf({ labels, width, height }, { mip_px: [row, column] }) {
  let [found, nearest] = [0, (REACH + 1) ** 2];
  for (let y = Math.max(0, Math.round(row) - REACH); y <= Math.min(height - 1, Math.round(row) + REACH); y++) {
    for (let x = Math.max(0, Math.round(column) - REACH); x <= Math.min(width - 1, Math.round(column) + REACH); x++) {
      const distance = (y - row) ** 2 + (x - column) ** 2;
      if (labels[y * width + x] && distance < nearest) [found, nearest] = [labels[y * width + x], distance];
    }
  }
  return found;
}

/**
 * The chosen lesions of a volume: the one that was chosen in 3-D, else all that show in the chosen component.
 *
 * @param {State} state
 * @returns {Set<number>} their ids
 */
export function chosenIn3d(state) {
  const { volume, lesion3d, selected } = state, one = volume?.lesions.find(({ id }) => id === lesion3d);
  if (one && (!selected || componentOf(state, one) === selected)) return new Set([one.id]);
  const shown = selected ? volume?.lesions.filter((lesion) => componentOf(state, lesion) === selected) : [];
  return new Set(shown?.map(({ id }) => id));
}

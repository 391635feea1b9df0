// @ts-check
/** @typedef {import("./types.js").State} State */
/** @typedef {keyof State} Key */

/** The state of the page in one place; whoever shows a part of it is told when that part changes. */
export class Store {
  /** @type {{keys: Set<Key>, listener: (state: State) => void}[]} */
  #listeners = [];

  /** @param {State} state the first state */
  constructor(state) {
    this.state = state;
  }

  /**
   * Call a listener after each change of certain parts, and once now.
   * @param {Key[]} keys
   * @param {(state: State) => void} listener
   */
  subscribe(keys, listener) {
    this.#listeners.push({ keys: new Set(keys), listener });
    listener(this.state);
  }

  /**
   * Change parts of the state, and tell those who listen to one that is now another value.
   * Arrays are replaced, never written into: a changed mask is a new array.
   * @param {Partial<State>} changes
   */
  update(changes) {
    const before = this.state;
    this.state = { ...before, ...changes };
    const changed = /** @type {Key[]} */ (Object.keys(changes)).filter((key) => before[key] !== changes[key]);
    for (const { keys, listener } of this.#listeners) {
      if (changed.some((key) => keys.has(key))) listener(this.state);
    }
  }
}

// @ts-check
const LONGEST = 100; // steps

/**
 * What was, to go back to, and what was undone, to come back from.
 *
 * @template T a state that nobody writes into
 */
export class History {
  /** @type {T[]} */
  #past = [];
  /** @type {T[]} */
  #future = [];

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Keep a state that is about to change. @param {T} state */
  record(state) {
    this.#past = [...this.#past.slice(1 - LONGEST), state];
    this.#future = [];
  }

  /**
   * @param {T} now
   * @returns {T} what was before; `now` where nothing was
   */
  undo(now) {
    const before = this.#past.pop();
    if (before === undefined) return now;
    this.#future.push(now);
    return before;
  }

  /**
   * @param {T} now
   * @returns {T} what was undone last; `now` where nothing was
   */
  redo(now) {
    const after = this.#future.pop();
    if (after === undefined) return now;
    this.#past.push(now);
    return after;
  }

  clear() {
    this.#past = [];
    this.#future = [];
  }
}

// @ts-check
/** @type {import("./grow.js").Rule} */
export const RULE = { add: [], remove: [], cut: 0 };

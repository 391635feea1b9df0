"use strict";
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 200, LEFT = 60, BOTTOM = 30;  // of a chart and its axes
const uuid = location.pathname.split("/").pop();
const api = `../api/v1/attempts/${encodeURIComponent(uuid)}`;
const byId = (id) => document.getElementById(id);
let order = { key: "position", up: true };
let images = [];
let timer;

const get = (path) => fetch(path, { headers: { "x-token": token }, cache: "no-store" });

function draw(svg, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  svg.append(made);
  return made;
}

// A bar for each image, `value` of the chart's height; `ticks` are pairs of a height and a label.
function chart(svg, total, value, ticks) {
  svg.replaceChildren();
  const width = svg.clientWidth, high = HEIGHT - BOTTOM, wide = (width - LEFT) / total;
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  for (const [part, label] of ticks) {
    const y = high * (1 - part) * 0.94 + 0.06 * high;
    draw(svg, "line", { x1: LEFT, x2: width, y1: y, y2: y, class: "grid" });
    draw(svg, "text", { x: LEFT - 6, y: y + 4, class: "tick end" }, label);
  }
  for (const image of images) {
    const height = Math.min(value(image), 1) * high * 0.94;
    const place = { x: LEFT + (image.position + 0.1) * wide, y: high - height, width: 0.8 * wide, height };
    const bar = draw(svg, "rect", { ...place, class: image.reason ? "bar fault" : "bar" });
    const text = `image ${image.position + 1}: Dice ${image.score.toFixed(3)}, ${image.seconds.toFixed(2)} s`;
    draw(bar, "title", {}, image.reason ? `${text}, ${image.reason}` : text);
  }
  for (const number of new Set([1, Math.ceil(total / 2), total])) {
    draw(svg, "text", { x: LEFT + (number - 0.5) * wide, y: HEIGHT - 10, class: "tick middle" }, number);
  }
  draw(svg, "text", { x: LEFT - 6, y: HEIGHT - 10, class: "tick end" }, "image");
}

function charts(attempt) {
  byId("charts").hidden = !images.length || attempt.status === "failed";
  if (byId("charts").hidden) return;
  const { total } = attempt.progress, most = attempt.deadline_s;
  chart(byId("dice"), total, (image) => (image.reason ? 1 : image.score), [[0, "0"], [0.5, "0.5"], [1, "1"]]);
  // The root, since most answers take a small part of the limit.
  const ticks = [0, 0.1, 0.5, 1].map((part) => [Math.sqrt(part), `${+(part * most).toPrecision(2)} s`]);
  chart(byId("latency"), total, (image) => Math.sqrt(image.seconds / most), ticks);
  const seconds = images.map((image) => image.seconds).sort((a, b) => a - b);
  byId("limit").textContent = most;
  byId("median").textContent = seconds[Math.floor(seconds.length / 2)].toFixed(2);
  byId("slowest").textContent = seconds[seconds.length - 1].toFixed(2);
}

function table() {
  byId("list").hidden = !images.length;
  const compare = (a, b) => {
    const [x, y] = [a[order.key] ?? "", b[order.key] ?? ""];
    return (x < y ? -1 : x > y ? 1 : a.position - b.position) * (order.up ? 1 : -1);
  };
  byId("images").replaceChildren(...[...images].sort(compare).map((image) => {
    const row = document.createElement("tr");
    const fault = image.reason ? `${image.reason}${image.detail ? `: ${image.detail}` : ""}` : "";
    for (const text of [image.position + 1, image.score.toFixed(4), image.seconds.toFixed(3), fault]) {
      row.insertCell().textContent = text;
    }
    return row;
  }));
}

async function figures(attempt) {
  byId("figures").replaceChildren();
  for (const position of attempt.worst) {
    const response = await get(`${api}/figures/${position}`);
    if (!response.ok) continue;
    const figure = document.createElement("figure");
    const picture = document.createElement("img");
    picture.src = URL.createObjectURL(await response.blob());
    picture.alt = `where mask and reference of image ${position + 1} agree`;
    const caption = document.createElement("figcaption");
    const found = attempt.images.find((one) => one.position === position);
    caption.textContent = `image ${position + 1}: Dice ${found.score.toFixed(3)}`;
    figure.append(picture, caption);
    byId("figures").append(figure);
  }
  byId("worst").hidden = !byId("figures").children.length;
}

// What the endpoint says of itself: the model's name, or the function that answers.
function modelOf(said) {
  if (!said) return "not told";
  const name = (thing) => (thing && typeof thing === "object" ? Object.values(thing).filter((v) => typeof v === "string").join(", ") : thing);
  return [name(said.predict), name(said.model), said.version].filter(Boolean).join("; ") || JSON.stringify(said);
}

function facts(attempt, run) {
  const date = (text) => (text ? new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" }) : "–");
  byId("facts").hidden = !run.service_url;
  if (!run.service_url) return;
  const { start, end, changed } = run.endpoint;
  byId("address").textContent = run.service_url;
  byId("model").textContent = changed ? `${modelOf(start)} → ${modelOf(end)}` : modelOf(start || end);
  byId("set").textContent = run.set || "–";
  byId("submitted").textContent = date(run.submitted_at);
  byId("finished").textContent = date(run.finished_at);
}

function show(attempt) {
  const run = attempt.attempt || { score: null, errors: [] };
  images = attempt.images || [];
  byId("title").textContent = `Attempt: ${attempt.type}`;
  const end = run.score === null ? "" : `, score ${run.score.toFixed(4)}`;
  const wait = attempt.status === "queued" ? `, ${attempt.position_in_queue} before it` : "";
  const over = attempt.status === "done" || attempt.status === "failed";
  const shown = attempt.progress && attempt.status !== "failed";
  const count = shown ? `, ${attempt.progress.done} of ${attempt.progress.total} images` : "";
  byId("state").textContent = `${attempt.status}${wait}${count}${end}`;
  const progress = byId("progress");
  progress.hidden = !attempt.progress || over;
  if (attempt.progress) Object.assign(progress, { max: attempt.progress.total, value: attempt.progress.done });
  facts(attempt, run);
  charts(attempt);
  table();
  byId("report").hidden = attempt.status !== "done" || !images.length;
  byId("faults").hidden = !run.errors.length;
  byId("errors").replaceChildren(...run.errors.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  return over;
}

function useToken(text) {
  keepToken(text);
  update();
}

// `validate` puts a local team's token behind the #, since its user does not know it otherwise.
function useAddress() {
  const text = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  useToken(text || token);
}

async function update() {
  clearTimeout(timer);
  if (!token) {
    byId("state").textContent =
      "The page of an attempt needs its team's token; the address that `validate` prints has a local team's.";
    return;
  }
  let over = false;
  try {
    const response = await get(api);
    if (response.status === 401 || response.status === 404) {
      byId("state").textContent = "This team has no such attempt; check the token and the address.";
      return;
    }
    if (!response.ok) throw new Error(response.status);
    const attempt = await response.json();
    over = show(attempt);
    if (attempt.status === "done" && attempt.worst) await figures(attempt);
  } catch {
    byId("state").textContent = "The judge does not answer; trying again …";
  }
  if (!over) timer = setTimeout(update, 2000);
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value.trim());
});
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const { key } = button.dataset;
    order = { key, up: order.key === key ? !order.up : true };
    table();
  });
}
// By hand, since a link sends no token.
async function download(path, name) {
  const response = await get(`${api}/${path}`);
  if (!response.ok) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

byId("csv").addEventListener("click", () => download("images.csv", `attempt-${uuid}.csv`));
byId("report").addEventListener("click", () => download("report.html", `attempt-${uuid}.html`));
addEventListener("hashchange", useAddress);
addEventListener("token", update);
useAddress();

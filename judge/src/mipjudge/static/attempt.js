"use strict";
const SVG = "http://www.w3.org/2000/svg";
const uuid = location.pathname.split("/").pop();
const api = `/api/v1/attempts/${encodeURIComponent(uuid)}`;
const byId = (id) => document.getElementById(id);
let token = sessionStorage.getItem("token") || "";
let timer;

const get = (path) => fetch(path, { headers: { "x-token": token }, cache: "no-store" });

// A bar for each image, `value` of the chart's height.
function bars(svg, images, total, value) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${total} 1`);
  for (const image of images) {
    const bar = document.createElementNS(SVG, "rect");
    const height = Math.min(value(image), 1);
    const place = { x: image.position + 0.1, y: 1 - height, width: 0.8, height };
    for (const [name, number] of Object.entries(place)) bar.setAttribute(name, number);
    bar.setAttribute("class", image.reason ? "bar fault" : "bar");
    const title = document.createElementNS(SVG, "title");
    title.textContent = `image ${image.position + 1}: Dice ${image.score.toFixed(3)}, ${image.seconds.toFixed(2)} s ${image.reason || ""}`;
    bar.append(title);
    svg.append(bar);
  }
}

function charts(attempt) {
  const images = attempt.images || [];
  byId("charts").hidden = !images.length || attempt.status === "failed";
  if (byId("charts").hidden) return;
  const { total } = attempt.progress;
  bars(byId("dice"), images, total, (image) => (image.reason ? 1 : image.score));
  // The root, since most answers take a small part of the limit.
  bars(byId("latency"), images, total, (image) => Math.sqrt(image.seconds / attempt.deadline_s));
  const seconds = images.map((image) => image.seconds).sort((a, b) => a - b);
  byId("limit").textContent = attempt.deadline_s;
  byId("median").textContent = seconds[Math.floor(seconds.length / 2)].toFixed(2);
  byId("slowest").textContent = seconds[seconds.length - 1].toFixed(2);
}

async function figures(attempt) {
  byId("figures").replaceChildren();
  for (const position of attempt.worst) {
    const response = await get(`${api}/figures/${position}`);
    if (!response.ok) continue;
    const figure = document.createElement("figure");
    const image = document.createElement("img");
    image.src = URL.createObjectURL(await response.blob());
    image.alt = `where mask and reference of image ${position + 1} agree`;
    const caption = document.createElement("figcaption");
    const image = attempt.images.find((one) => one.position === position);
    caption.textContent = `image ${position + 1}: Dice ${image.score.toFixed(3)}`;
    figure.append(image, caption);
    byId("figures").append(figure);
  }
  byId("worst").hidden = !byId("figures").children.length;
}

function show(attempt) {
  const run = attempt.attempt || { score: null, errors: [] };
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
  charts(attempt);
  byId("faults").hidden = !run.errors.length;
  byId("errors").replaceChildren(...run.errors.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  return over;
}

async function update() {
  clearTimeout(timer);
  if (!token) return;
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
  token = byId("token").value.trim();
  sessionStorage.setItem("token", token);
  update();
});
update();

"use strict";
const at = (id) => document.getElementById(id);
let newest = 0; // number of the newest upload; what an older one still brings is dropped

async function showStatus() {
  const ready = (await fetch("readyz")).ok;
  const { model, version } = await (await fetch("api")).json();
  at("status").textContent = ready ? ["ready", model?.name, version].filter(Boolean).join(" · ") : "not ready";
  at("status").classList.toggle("good", ready);
  if (!ready) setTimeout(watchStatus, 1000);
}
function watchStatus() {
  showStatus().catch(() => { at("status").textContent = "not reachable"; });
}

async function ask(path, img) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify({ img }) });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

function read(file) {
  return new Promise((done, fail) => {
    const reader = Object.assign(new FileReader(), { onload: () => done(reader.result), onerror: fail });
    reader.readAsDataURL(file);
  });
}

async function draw(imageUrl, maskUrl, number) {
  const image = Object.assign(new Image(), { src: imageUrl }), mask = Object.assign(new Image(), { src: maskUrl });
  await Promise.all([image.decode(), mask.decode()]);
  const { width, height } = mask, canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(mask, 0, 0);
  const overlay = pen.getImageData(0, 0, width, height);
  for (let i = 0; i < overlay.data.length; i += 4) overlay.data.set([213, 94, 0, overlay.data[i]], i);
  const orange = await createImageBitmap(overlay);
  if (number !== newest) return;
  Object.assign(at("canvas"), { width, height, hidden: false });
  const page = at("canvas").getContext("2d");
  page.drawImage(image, 0, 0);
  page.drawImage(orange, 0, 0);
}

function clear() {
  Object.assign(at("canvas"), { width: 0, height: 0, hidden: true });
  at("result").hidden = false;
  at("words").classList.remove("bad");
  at("words").textContent = "…";
}

async function segment(file, number) {
  const url = await read(file), img = url.slice(url.indexOf(",") + 1);
  await draw(url, "data:image/png;base64," + (await ask("tumor/predict", img)).img, number);
  const { classification: { label, probability }, lesions, warnings } = await ask("tumor/analyze", img);
  const lines = ["Orange: the mask of /tumor/predict.",
    `Built-in model: ${label}, probability of a tumour ${probability.toFixed(2)}, lesions: ${lesions.length}.`];
  const plain = warnings.length ? await (await fetch("static/warnings.json")).json() : {};
  lines.push(...warnings.map((code) => plain[code] ?? code));
  return lines.join("\n");
}

at("file").onchange = async (event) => {
  if (!event.target.files.length) return;
  const file = event.target.files[0], number = ++newest;
  clear(); // first of all: nothing of the last patient may stand under the new file's name
  let words, failed = false;
  try {
    words = await segment(file, number);
  } catch (error) {
    [words, failed] = [error.message || "the file can't be read", true];
  }
  if (number !== newest) return;
  at("words").classList.toggle("bad", failed);
  at("words").textContent = words;
};

at("address").textContent = new URL(".", location.href).href;
watchStatus();

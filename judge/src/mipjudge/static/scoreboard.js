"use strict";
// Everything that comes from teams is set as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";
const score = (value) => (value === null ? "–" : value.toFixed(4));

function cell(row, text) {
  const td = row.insertCell();
  td.textContent = text;
  return td;
}

function history(entries) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "history");
  svg.setAttribute("viewBox", "0 0 100 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `scores: ${entries.map((e) => score(e.score)).join(", ")}`);
  const line = document.createElementNS(SVG, "polyline");
  const step = 100 / Math.max(entries.length - 1, 1);
  const points = entries.map((e, i) => `${i * step},${19 - 18 * e.score}`);
  if (points.length === 1) points.push(`100,${19 - 18 * entries[0].score}`);
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

function show(teams) {
  const body = document.getElementById("teams");
  body.replaceChildren();
  for (const team of teams) {
    const row = body.insertRow();
    cell(row, team.rank);
    cell(row, team.team);
    cell(row, score(team.best_validation_score));
    cell(row, score(team.evaluation_score));
    cell(row, team.points === null ? "–" : team.points);
    cell(row, team.attempts);
    cell(row, new Date(team.last_change).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
    cell(row, "").append(history(team.history));
  }
}

async function update() {
  const state = document.getElementById("state");
  try {
    const response = await fetch("/api/v1/scoreboard", { cache: "no-store" });
    if (!response.ok) throw new Error(response.status);
    const board = await response.json();
    show(board.teams);
    const teams = board.count === 1 ? "1 team" : `${board.count} teams`;
    state.textContent = board.count ? `${teams}, updated ${new Date().toLocaleTimeString()}` : "No attempts yet";
  } catch {
    state.textContent = "The judge does not answer; trying again …";
  }
  setTimeout(update, 5000);
}
update();

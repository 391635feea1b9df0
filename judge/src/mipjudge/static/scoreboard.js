"use strict";
// Everything that comes from teams is set as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";
const COLUMNS = ["Rank", "Team", "Best validation", "Evaluation", "Points", "Attempts", "Last change", "History"];
const score = (value) => (value === null ? "–" : value.toFixed(4));

function element(name, text, parent) {
  const made = document.createElement(name);
  made.textContent = text;
  parent.append(made);
  return made;
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

function show(board, parent) {
  element("h2", `Scored on ${board.set}`, parent);
  const wide = element("div", "", parent);
  wide.className = "wide";
  const table = element("table", "", wide);
  const head = table.createTHead().insertRow();
  for (const name of COLUMNS) element("th", name, head);
  const body = table.createTBody();
  for (const team of board.teams) {
    const row = body.insertRow();
    const date = new Date(team.last_change).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const points = team.points === null ? "–" : team.points;
    const scores = [score(team.best_validation_score), score(team.evaluation_score)];
    for (const text of [team.rank, team.team, ...scores, points, team.attempts, date]) element("td", text, row);
    const cell = element("td", "", row);
    const last = team.history[team.history.length - 1];
    if (last) {
      const link = element("a", "", cell);
      link.href = `attempts/${encodeURIComponent(last.uuid)}`;
      link.title = "the latest attempt";
      link.append(history(team.history));
    }
    COLUMNS.forEach((name, place) => { row.cells[place].dataset.label = name; });  // for narrow screens
  }
}

async function update() {
  const state = document.getElementById("state");
  try {
    const response = await fetch("api/v1/scoreboard", { cache: "no-store" });
    if (!response.ok) throw new Error(response.status);
    const board = await response.json();
    const boards = document.createElement("div");
    for (const one of [board, ...board.earlier]) if (one.count) show(one, boards);
    document.getElementById("boards").replaceChildren(boards);
    const teams = board.count === 1 ? "1 team" : `${board.count} teams`;
    state.textContent = board.count ? `${teams}, updated ${new Date().toLocaleTimeString()}` : "No attempts yet";
  } catch {
    state.textContent = "The judge does not answer; trying again …";
  }
  setTimeout(update, 5000);
}
update();

// A run: its curves, its media, its values, its console, its files.

import { COLORS, drawCurves } from "./charts.js";
import { element, find, formatAge, formatMoment, formatNumber, formatSize, formatSpan, formatValue, nameState, showFacts, tell } from "./format.js";
import { eventually, follow, onResize } from "./feed.js";
import { LogView } from "./log_view.js";
import { showMedia } from "./media.js";

const path = location.pathname.replace(/\/$/, "");
const next = { since: 0, history: 0, system: 0, media: 0 };
const streams = { history: new Map(), system: new Map() };
const media = new Map();
const figures = new Map();
const log = new LogView(path);
const UNGROUPED = 6;
let run = null;

/** Append what came to a stream's series; gives the names of those that changed. */
function take(stream, answer) {
  next[stream] = answer.next;
  const changed = Object.keys(answer.series);
  for (const [name, fresh] of Object.entries(answer.series)) {
    const kept = streams[stream].get(name);
    if (!kept) streams[stream].set(name, fresh);
    else for (const part of ["steps", "times", "values"]) kept[part].push(...fresh[part]);
  }
  return changed;
}

/** A figure for each series; many are in groups, by what stands before the first slash. */
function arrange(stream, root) {
  const names = [...streams[stream].keys()];
  if (names.every((name) => figures.has(`${stream} ${name}`)) && names.length) return;
  const groups = new Map();
  for (const name of names.sort()) {
    const group = names.length > UNGROUPED && name.includes("/") ? name.slice(0, name.indexOf("/")) : "";
    groups.set(group, [...(groups.get(group) || []), name]);
  }
  const parts = [];
  for (const [group, members] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (group) parts.push(element("h3", {}, group));
    for (const name of members) parts.push(place(stream, name));
  }
  root.replaceChildren(...(parts.length ? parts : [element("p", { class: "none" }, "Nothing logged yet.")]));
}

function place(stream, name) {
  const key = `${stream} ${name}`;
  if (!figures.has(key)) {
    const figure = element("figure", { class: "plot" });
    const value = element("b", {});
    const box = element("div", { "data-metric": name }, element("div", { class: "heading" }, element("span", {}, name), value), figure);
    figures.set(key, { stream, name, figure, value, box });
    onResize(figure, () => draw(figures.get(key)));
  }
  return figures.get(key).box;
}

function draw({ stream, name, figure, value }) {
  const series = streams[stream].get(name);
  tell(value, formatNumber(series.values[series.values.length - 1]));
  drawCurves(figure, [{ id: name, label: name, color: COLORS[0], ...series }], {
    height: 150, key: false, axis: stream === "system" ? "times" : find("#axis").value, smooth: stream === "system" ? 0 : Number(find("#smooth").value),
  });
}

const drawAll = eventually(() => {
  for (const one of figures.values()) draw(one);
});

function showHead(now) {
  const [word, color] = nameState(run.state, run.stopped, run.waits);
  tell(find("#state"), word);
  find("#state").className = `pill is-${color}`;
  const trained = run.begun === null ? null : (run.ended ?? (color === "running" ? now : run.heard)) - run.begun;
  showFacts(find("#facts"), [
    ["trained for", trained === null ? null : formatSpan(trained)],
    ["made", formatMoment(run.made)],
    ["last sign", run.ended ? null : formatAge(run.heard, now)],
    ["exit code", run.exitcode === null || run.exitcode === 0 ? null : element("span", { class: "is-failed" }, String(run.exitcode))],
    ["host", run.facts.host],
  ]);
  const error = run.summary.error;
  find("#error").hidden = !error;
  tell(find("#error"), error ? String(error) : "");
  showAlerts(run.alerts, now);
}

function showAlerts(alerts, now) {
  const colors = { ERROR: "failed", WARN: "stopped", INFO: "finished" };
  find("#alerts tbody").replaceChildren(...alerts.map((one) => element("tr", {},
    element("td", { class: `is-${colors[one.severity]}` }, one.severity.toLowerCase()), element("th", {}, one.title),
    element("td", {}, one.text), element("td", { class: "quiet" }, formatAge(one.at, now)))));
  find("#alerts_part").hidden = !alerts.length;
}

function showValues(selector, values) {
  const rows = Object.entries(values).filter(([, value]) => value !== null).sort(([a], [b]) => (a < b ? -1 : 1));
  find(`${selector} tbody`).replaceChildren(...rows.map(([name, value]) => element("tr", {},
    element("th", {}, name), element("td", { title: String(value) }, formatValue(value)))));
  find(selector).closest("section").classList.toggle("empty", !rows.length);
}

function showFiles(files) {
  tell(find("#files_count"), files.length ? String(files.length) : "");
  const artifacts = run.artifacts.map((one) => element("tr", {},
    element("td", {}, `${one.name}:v${one.version_index}`), element("td", { class: "quiet" }, one.type),
    element("td", { class: "number" }, formatSize(one.size))));
  const rows = files.map((file) => element("tr", {},
    element("td", {}, element("a", { href: file.url, download: "" }, file.name)), element("td", {}),
    element("td", { class: "number" }, formatSize(file.size))));
  const none = element("tr", {}, element("td", { class: "quiet" }, "None."));
  find("#files tbody").replaceChildren(...(rows.length || artifacts.length ? [...artifacts, ...rows] : [none]));
}

function takeMedia(answer) {
  next.media = answer.next;
  // A row that waited for its uploads comes once more, whole.
  const fresh = new Map();
  for (const [key, step, kind, caption, url] of answer.media) {
    const place = JSON.stringify([key, step]);
    if (!media.has(key)) media.set(key, new Map());
    if (!fresh.has(place)) fresh.set(place, []);
    fresh.get(place).push({ kind, caption, url });
    media.get(key).set(step, fresh.get(place));
  }
  if (answer.media.length) showMedia(find("#media_part"), media);
}

find("#axis").addEventListener("change", drawAll);
find("#smooth").addEventListener("input", drawAll);
find("#system_part").addEventListener("toggle", drawAll);

follow(`${path}/changes`, (answer) => {
  const changed = { history: take("history", answer.history), system: take("system", answer.system) };
  next.since = answer.revision;
  arrange("history", find("#curves"));
  arrange("system", find("#system"));
  for (const stream of ["history", "system"]) {
    for (const name of changed[stream]) draw(figures.get(`${stream} ${name}`));
  }
  takeMedia(answer.media);
  log.take(answer.log);
  if (answer.run) {
    run = answer.run;
    showValues("#config", run.config);
    showValues("#summary", run.summary);
    showValues("#about", run.facts);
    showFiles(answer.files);
  }
  showHead(answer.now);
  const over = !["pending", "running", "preempting"].includes(run.state);
  return { query: { ...next, log: log.end }, wait: over ? 10000 : 0, done: over };
});

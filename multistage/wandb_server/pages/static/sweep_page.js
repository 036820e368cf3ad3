// A sweep: how far it is, what it found, which hyperparameters that took, who trains.

import { COLORS, drawCurves, drawValues, sayNone } from "./charts.js";
import { element, find, formatAge, formatNumber, formatSpan, formatValue, nameState, showFacts, showMeter, tell } from "./format.js";
import { eventually, follow, onResize } from "./feed.js";
import { Parallel } from "./parallel.js";
import { RunSet } from "./run_set.js";
import { RunsTable } from "./runs_table.js";
import { isNumber } from "./scales.js";

const [base, id] = location.pathname.replace(/\/$/, "").split("/sweeps/");
const MOST_CURVES = 10;
const ENDS = { maximize: ["max", "last", "best", "mean", "min"], minimize: ["min", "last", "best", "mean", "max"] };

const set = new RunSet();
let sweep = null;
let metric = null;
let curves = new Map();
let asked = "";
let light = () => {};

const parallel = new Parallel(find("#parallel"), { changed: () => table.restart(), light: (run) => light(run) });
const table = new RunsTable(set, {
  base,
  choose: chooseColumns,
  best: () => findBest()?.id,
  changed: () => askCurves(),
  light: (run) => light(run),
});
table.brush = (run) => parallel.admits(run);
light = (run) => {
  parallel.point(run);
  table.point(run);
  for (const curve of document.querySelectorAll("#curves .curve")) curve.classList.toggle("lit", curve.dataset.run === run);
};

/** The column of the sweep's metric: itself, or the end of it that the training keeps. */
function findMetric() {
  if (!sweep?.metric) return null;
  const names = [sweep.metric, ...ENDS[sweep.goal].map((end) => `${sweep.metric}.${end}`)];
  return names.map((name) => set.columns.find((column) => column.section === "summary" && column.key === name)).find(Boolean) || null;
}

const readMetric = (run) => {
  const value = metric?.read(run);
  return isNumber(value) ? value : null;
};

/** Whether a run's value may be the best: not where the training broke off. */
const isCandidate = (run) => run.color !== "failed" && run.color !== "lost";

function findBest() {
  let best = null;
  const sign = sweep?.goal === "maximize" ? 1 : -1;
  for (const run of set.runs.values()) {
    const value = readMetric(run);
    if (value !== null && isCandidate(run) && (!best || sign * (value - readMetric(best)) > 0)) best = run;
  }
  return best;
}

/** The hyperparameters that the sweep names; where it names none, those in which its runs differ. */
function listParameters() {
  const inConfig = set.columns.filter((column) => column.section === "config");
  const named = (sweep?.parameters || []).map((one) => ({ ...one, column: inConfig.find((column) => column.key === one.name) })).filter((one) => one.column);
  if (named.length) return named;
  return inConfig.filter((column) => new Set([...set.runs.values()].map(column.read)).size > 1).map((column) => ({ name: column.key, column }));
}

function chooseColumns(runs, most) {
  const parameters = listParameters().map((one) => one.column.id);
  const more = runs.columns.filter((column) => column.section === "summary" && column !== metric && !/^_|^error$/.test(column.key)).map((column) => column.id);
  return ["name", "state", ...(metric ? [metric.id] : []), ...parameters, ...more.slice(0, Math.max(0, most - 5 - parameters.length)), "took", "made"];
}

function showHead(answer) {
  sweep = answer.sweep;
  set.early = sweep.stops_early;
  const counts = set.count();
  const by = Object.fromEntries(counts);
  const done = by.finished + by.stopped + by.failed;
  const best = findBest();
  tell(find("#state"), sweep.state);
  find("#state").className = `pill ${sweep.state === "running" ? "is-running" : sweep.state === "finished" ? "is-finished" : sweep.state === "canceled" ? "is-failed" : ""}`;
  const present = answer.agents.filter((agent) => answer.now - agent.heard < answer.silent * 1000);
  const open = ["running", "pending"].includes(sweep.state);
  showFacts(find("#facts"), [
    [`best ${sweep.metric || "value"}`, best ? element("a", { href: `${base}/runs/${encodeURIComponent(best.id)}`, title: best.label }, formatNumber(readMetric(best))) : "none yet", "best"],
    ["runs done", sweep.expected ? `${done} of ${sweep.expected}` : String(done)],
    ["training", String(by.running)],
    ["queued", by.queued ? String(by.queued) : null],
    [sweep.stops_early ? "stopped early" : "stopped", by.stopped ? String(by.stopped) : null],
    ["failed", by.failed ? element("span", { class: "is-failed" }, String(by.failed)) : null],
    ["lost", by.lost ? element("span", { class: "is-lost" }, String(by.lost)) : null],
    ["agents", open ? String(present.length) : null],
    ["pace", measurePace(answer.now, open && present.length > 0, done)],
  ]);
  showBest(best);
  showMeter(find("#progress"), counts, sweep.expected);
  for (const stage of sweep.stages) showStage(stage);
  showAgents(answer.agents, present, answer.now);
}

/** The best run's hyperparameters, in a line. */
function showBest(best) {
  const line = find("#best");
  line.hidden = !best;
  if (best) line.replaceChildren(...listParameters().map((one) => element("span", {}, element("i", {}, one.name), ` ${formatValue(one.column.read(best))}`)));
}

/** Runs an hour over the last twenty, and how long the rest will take at that pace. */
function measurePace(now, open, done) {
  const ends = [...set.runs.values()].filter((run) => run.ended && ["finished", "stopped", "failed"].includes(run.color)).map((run) => run.ended).sort((a, b) => b - a).slice(0, 20);
  if (ends.length < 3) return null;
  const pace = (ends.length - 1) / Math.max(1, (open ? now : ends[0]) - ends[ends.length - 1]);
  const left = open && sweep.expected > done ? `, ${formatSpan((sweep.expected - done) / pace)} to go` : "";
  return `${formatNumber(Number((pace * 3.6e6).toPrecision(2)))} an hour${left}`;
}

function showStage(stage) {
  const link = [...document.querySelectorAll("#stages a")].find((one) => one.dataset.id === stage.id);
  if (!link) {
    // A stage that began while the page was open.
    const fresh = element("a", { href: `${base}/sweeps/${encodeURIComponent(stage.id)}`, "data-id": stage.id },
      element("b", {}, `stage ${stage.stage}`), element("span", { class: "quiet" }), element("span", { class: "meter" }));
    find("#stages")?.append(fresh);
    return;
  }
  const counts = new Map();
  for (const [state, stopped, count] of stage.counts) {
    const [, color] = nameState(state, stopped, true);
    counts.set(color, (counts.get(color) || 0) + count);
  }
  const done = ["finished", "stopped", "failed"].reduce((sum, color) => sum + (counts.get(color) || 0), 0);
  tell(find("span", link), `${done}${stage.expected ? ` of ${stage.expected}` : ""} · ${stage.state}`);
  showMeter(find(".meter", link), [...counts], stage.expected);
}

function showAgents(agents, present, now) {
  tell(find("#agents_count"), agents.length ? `${present.length} of ${agents.length} present` : "");
  find("#agents tbody").replaceChildren(...agents.map((agent) => {
    const here = present.includes(agent);
    const run = agent.run && set.runs.get(agent.run);
    return element("tr", {},
      element("td", { class: `state ${here ? "is-running" : "is-queued"}`, title: agent.id }, element("span", {}, agent.host)),
      element("td", {}, formatAge(agent.heard, now)),
      element("td", { class: "number" }, String(agent.runs)),
      element("td", {}, here && agent.run ? element("a", { href: `${base}/runs/${encodeURIComponent(agent.run)}` }, run?.label || agent.run) : ""));
  }), ...(agents.length ? [] : [element("tr", {}, element("td", { colspan: 4, class: "quiet" }, "No agent has come yet."))]));
}

const link = (run) => `${base}/runs/${encodeURIComponent(run.id)}`;

function drawValuesNow() {
  const runs = [...set.runs.values()].sort((a, b) => a.made - b.made);
  drawValues(find("#values"), runs.map((run) => ({ id: run.id, label: run.label, color: run.color, counts: isCandidate(run), value: readMetric(run), href: link(run) })), { goal: sweep.goal, light });
  const missing = runs.filter((run) => readMetric(run) === null && !["queued", "running"].includes(run.color)).length;
  tell(find("#values_note"), missing ? `${missing} of ${runs.length} runs left no value` : sweep.metric || "");
}

function drawParallelNow() {
  const axes = listParameters().slice(0, 24).map((one) => ({ name: one.name, read: one.column.read, scale: one.scale, bounds: one.bounds }));
  if (metric) axes.push({ name: sweep.metric, read: readMetric, scale: "linear", worse: sweep.goal === "maximize" ? "low" : "high" });
  const runs = metric ? [...set.runs.values()].filter((run) => readMetric(run) !== null) : [];
  parallel.draw(runs, axes, sweep.goal);
}

/** Offer the metrics that runs logged, the sweep's own first. */
function showMetrics() {
  const names = set.columns.filter((column) => column.section === "summary" && column.key[0] !== "_").map((column) => column.key);
  const all = [...new Set([...(sweep.metric ? [sweep.metric] : []), ...names])];
  const select = find("#metric");
  if (select.options.length === all.length) return;
  const kept = select.value;
  select.replaceChildren(...all.map((name) => element("option", { value: name }, name)));
  if (all.includes(kept)) select.value = kept;
}

/** The curves are those of the table's first runs: sort and filter to see others. */
async function askCurves(stale = new Set()) {
  const wanted = table.shown.slice(0, MOST_CURVES).map((run) => run.id);
  const name = find("#metric").value;
  const key = JSON.stringify([name, wanted]);
  if (!name || !wanted.length) return sayNone(find("#curves"), "Nothing logged yet.");
  if (key === asked && !wanted.some((run) => stale.has(run))) return undefined;
  const again = key === asked ? wanted.filter((run) => stale.has(run)) : wanted;
  asked = key;
  const query = new URLSearchParams([["metric", name], ...again.map((run) => ["run", run])]);
  const answer = await fetch(`${base}/curves?${query}`).catch(() => null);
  if (!answer?.ok || asked !== key) return undefined;
  const found = Object.entries(await answer.json());
  curves = new Map([...(again === wanted ? [] : curves), ...found]);
  drawCurvesNow();
  return undefined;
}

function drawCurvesNow() {
  const shown = table.shown.slice(0, MOST_CURVES).filter((run) => curves.has(run.id));
  drawCurves(find("#curves"), shown.map((run, index) => ({ id: run.id, label: run.label, href: link(run), color: COLORS[index], ...curves.get(run.id) })));
  tell(find("#curves_note"), shown.length < table.shown.length ? `of the table's first ${shown.length}` : "");
}

const drawPlots = eventually(() => {
  drawValuesNow();
  drawParallelNow();
});

find("#metric").addEventListener("change", () => askCurves());
onResize(find("#values"), () => sweep && drawPlots());
onResize(find("#curves"), () => sweep && drawCurvesNow());

follow(`${base}/sweeps/${id}/changes`, (answer) => {
  const whole = set.revision === 0;
  set.early = answer.sweep.stops_early;
  const changed = set.take(answer.runs);
  if (changed === null) return { query: {} };
  table.now = answer.now;
  sweep = answer.sweep;
  const before = metric;
  metric = findMetric();
  if (metric) metric.isMetric = true;
  if (metric && !before && !table.sort) table.sort = `${sweep.goal === "maximize" ? "-" : ""}${metric.id}`;
  showHead(answer);
  if (changed.length || whole) {
    showMetrics();
    table.draw(new Set(whole ? [] : changed.map((run) => run.id)));
    drawPlots();
    askCurves(new Set(changed.map((run) => run.id)));
  }
  const over = ["finished", "canceled"].includes(sweep.state) && ![...set.runs.values()].some((run) => run.color === "running");
  return { query: { since: set.revision }, wait: over ? 10000 : 0, done: over };
});

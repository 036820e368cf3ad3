// A project: its multi-stage sweeps with their stages, its other sweeps, its runs.

import { element, find, formatAge, formatMoment, showFacts, showMeter } from "./format.js";
import { follow } from "./feed.js";
import { RunSet } from "./run_set.js";
import { RunsTable } from "./runs_table.js";

const base = location.pathname.replace(/\/$/, "");
const set = new RunSet();
const titles = new Map();
const table = new RunsTable(set, {
  base,
  extra: [{ id: "sweep", title: "sweep", read: (run) => run.sweep && (titles.get(run.sweep) || run.sweep) }],
  choose: (runs, most) => ["name", "state", "sweep", ...runs.columns.filter((column) => column.key[0] !== "_").map((column) => column.id).slice(0, most - 5), "took", "made"],
});

function countBySweep() {
  const counts = new Map();
  for (const run of set.runs.values()) {
    if (!run.sweep) continue;
    if (!counts.has(run.sweep)) counts.set(run.sweep, new Map());
    const own = counts.get(run.sweep);
    own.set(run.color, (own.get(run.color) || 0) + 1);
  }
  return counts;
}

function showSweeps(sweeps) {
  const counts = countBySweep();
  const groups = new Map();
  for (const sweep of sweeps) {
    titles.set(sweep.id, sweep.stage ? `${sweep.stage.name} stage ${sweep.stage.stage}` : sweep.title);
    const name = sweep.stage ? `${sweep.stage.name} ${sweep.stage.uid}` : sweep.id;
    groups.set(name, [...(groups.get(name) || []), sweep]);
  }
  find("#sweeps").hidden = !sweeps.length;
  find("#sweeps .sweeps").replaceChildren(...[...groups.values()].map((stages) => {
    stages.sort((a, b) => (a.stage?.stage || 0) - (b.stage?.stage || 0) || a.made - b.made);
    return element("article", {},
      element("h3", {}, stages[0].stage ? stages[0].stage.name : stages[0].title),
      element("span", { class: "quiet" }, `${formatMoment(stages[0].made)} · ${stages[0].goal} ${stages[0].metric || "nothing"}`),
      element("div", { class: "stages" }, ...stages.map((sweep) => showSweep(sweep, counts.get(sweep.id) || new Map()))));
  }));
}

function showSweep(sweep, counts) {
  const done = [...counts].filter(([color]) => color !== "queued" && color !== "running").reduce((sum, [, count]) => sum + count, 0);
  const meter = element("span", { class: "meter" });
  showMeter(meter, [...counts], sweep.expected);
  return element("a", { href: `${base}/sweeps/${encodeURIComponent(sweep.id)}`, "data-id": sweep.id },
    element("b", {}, sweep.stage ? `stage ${sweep.stage.stage}` : "sweep"),
    element("span", { class: "quiet" }, `${done}${sweep.expected ? ` of ${sweep.expected}` : ""} · ${sweep.state}`), meter);
}

follow(`${base}/changes`, (answer) => {
  table.now = answer.now;
  const whole = set.revision === 0;
  const changed = set.take(answer.runs);
  if (changed === null) return { query: {} };
  showSweeps(answer.sweeps);
  if (changed.length || whole) table.draw(new Set(whole ? [] : changed.map((run) => run.id)));
  const heard = Math.max(0, ...[...set.runs.values()].map((run) => run.heard));
  const live = [...set.runs.values()].filter((run) => run.color === "running").length;
  showFacts(find("#facts"), [
    ["runs", String(answer.runs.total)],
    ["training now", String(live)],
    ["sweeps", String(answer.sweeps.length)],
    ["last sign", heard ? formatAge(heard, answer.now) : "none"],
  ]);
  return { query: { since: set.revision }, wait: live ? 0 : 6000 };
});

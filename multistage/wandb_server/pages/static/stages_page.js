// A multi-stage sweep, whole: what people watch all night. It shows what the sweep's driver tells, and asks nobody else.

import { drawValues } from "./charts.js";
import { element, find, formatClock, formatNumber, formatSpan, formatValue, showFacts, showMeter, tell } from "./format.js";
import { eventually, follow, onResize, whenSeen } from "./feed.js";
import { Parallel } from "./parallel.js";
import { drawRanges, shadeRuns } from "./ranges.js";
import { RunsTable } from "./runs_table.js";
import { showFailures, showRunning } from "./running.js";
import { drawStanding } from "./standing.js";
import { isNumber } from "./scales.js";
import { SummarySet } from "./summary_set.js";

const PILLS = { running: "is-running", completed: "is-finished", failed: "is-failed", stopped: "is-stopped" };
const address = location.pathname.replace(/\/$/, "");
const set = new SummarySet();
let summary = null;
let table = null;
let light = () => {};
let answeredAt = 0;

const parallel = new Parallel(find("#parallel"), { changed: () => table?.restart(), light: (run) => light(run) });
const link = (run) => (summary.run_base ? `${summary.run_base}/runs/${encodeURIComponent(run)}` : null);
const anchor = (run, text) => (link(run) ? element("a", { href: link(run) }, text) : element("span", {}, text));

function makeTable() {
  table = new RunsTable(set, {
    base: summary.run_base || "",
    choose: (runs) => ["name", "state", ...runs.columns.filter((column) => ["config", "summary"].includes(column.section)).slice(0, 9).map((column) => column.id), "took", "made"],
    best: () => summary.leader?.run,
    light: (run) => light(run),
  });
  if (!table.sort) table.sort = `${summary.goal === "maximize" ? "-" : ""}summary.${summary.metric}`;
  table.brush = (run) => parallel.admits(run);
  light = (run) => {
    parallel.point(run);
    table.point(run);
  };
}

function showHead(answer) {
  tell(find("#state"), summary.status);
  find("#state").className = `pill ${PILLS[summary.status]}`;
  tell(find("#about"), `${summary.config_id} · ${summary.goal} ${summary.metric} · ${summary.search} · ${summary.workers === 1 ? "1 worker" : `${summary.workers} workers`}, ${summary.launcher} · begun ${formatClock(1000 * summary.began)}`);
  find("#links").replaceChildren(...Object.entries(summary.links).map(([name, href]) => element("a", { href }, name)));
  showNotice(answer);
  const final = summary.status === "completed";
  const { leader, pace, spending } = summary;
  tell(find("#best_name"), `best ${summary.metric} ${final ? "seen" : "so far"}`);
  find("#best").replaceChildren(leader ? anchor(leader.run, formatNumber(leader.value)) : "–");
  find("#best").className = leader ? "big" : "big none";
  tell(find("#best_note"), leader ? `stage ${leader.stage}${final ? "" : " · interim"}` : "no run has a value yet");
  const by = Object.fromEntries(set.count());
  showFacts(find("#facts"), [
    ["runs done", `${summary.used} of ${summary.budget}`],
    ["training", summary.status === "running" ? String(by.running) : null],
    ["waiting", summary.status === "running" && by.queued ? String(by.queued) : null],
    ["stopped early", by.stopped ? String(by.stopped) : null],
    ["failed", by.failed ? element("a", { href: "#failures", class: "is-failed" }, String(by.failed)) : null],
    ["lost", by.lost ? element("a", { href: "#failures", class: "is-lost" }, String(by.lost)) : null],
    ["time left", pace ? `${formatSpan(1000 * pace.seconds_left)}, until ${formatClock(answer.now + 1000 * pace.seconds_left)}` : null, "long"],
    ["pace", pace ? `${formatNumber(Number(pace.runs_an_hour.toPrecision(2)))} an hour` : null],
    [spending.dollars === null ? "trained" : "spent", describeSpending(spending), "long"],
  ]);
}

function describeSpending({ dollars, most, trained, in_vain: vain }) {
  if (dollars !== null) return `$${dollars.toFixed(2)}${most === null ? "" : ` of $${formatNumber(most)}`}`;
  return trained ? `${formatSpan(1000 * trained)}${vain > 0.005 * trained ? `, ${Math.round((100 * vain) / trained)}% in vain` : ""}` : null;
}

/** What people must know at once: the sweep has ended early, or nobody seems to drive it. */
function showNotice(answer) {
  const notice = find("#notice");
  const silent = answer.now - answer.heard;
  const goOn = summary.resume ? [" Resume with: ", element("code", {}, summary.resume)] : [];
  let parts = null;
  if (summary.status === "running" && silent > answer.silent) {
    parts = [`Nothing was heard of the process that drives this sweep for ${formatSpan(silent)}. If it has ended:`, element("code", {}, ` ${summary.resume}`)];
  } else if (summary.status === "failed" || summary.status === "stopped") {
    parts = [`This sweep is ${summary.status}${summary.ended_because ? `: ${summary.ended_because}` : ""}.`.replace(/\.+$/, "."), ...goOn];
  } else if (summary.status === "completed" && summary.used < summary.budget) {
    parts = [`It ended early: ${summary.ended_because || ""}.`, ...goOn];
  }
  notice.hidden = !parts;
  notice.classList.toggle("is-bad", summary.status !== "completed" && Boolean(parts));
  if (parts && notice.textContent !== parts.map((part) => part.textContent ?? part).join("")) notice.replaceChildren(...parts);
}

function showStages() {
  find("#stages").replaceChildren(...summary.stages.map((stage) => {
    const meter = element("span", { class: "meter" });
    const done = stage.used - stage.failed;
    showMeter(meter, [["finished", done], ["failed", stage.failed], ["running", stage.running], ["queued", stage.queued]], stage.runs);
    const kind = { running: "now", done: "done", "to come": "later" }[stage.status];
    const told = [stage.method, stage.finalists ? `${stage.finalists} finalists` : "", stage.status === "to come" ? "to come" : "", stage.cut_short ? `cut short by the ${stage.cut_short}` : ""].filter(Boolean).join(" · ");
    const parts = [
      element("span", { class: "top_line" }, element("i", { class: "mark", vars: { "--dot": `var(--stage-${stage.stage})` } }), element("b", {}, `Stage ${stage.stage}`),
        element("span", { class: "figure" }, `${stage.used} / ${stage.runs}`)),
      element("span", { class: "quiet" }, told),
      element("span", { class: "quiet" }, [isNumber(stage.best) ? `best ${formatNumber(stage.best)}` : "", describeLength(stage)].filter(Boolean).join(" · ") || " "),
      meter,
    ];
    const attributes = { class: kind, "aria-current": kind === "now" ? "step" : null };
    return stage.link ? element("a", { ...attributes, href: stage.link }, ...parts) : element("div", attributes, ...parts);
  }));
}

function describeLength(stage) {
  if (!stage.began) return "";
  const until = stage.ended ?? summary.told_at;
  return `${stage.ended ? "took" : "for"} ${formatSpan(1000 * (until - stage.began))}`;
}

function showWaits() {
  const waits = summary.waits.map((wait) => element("li", {}, element("b", {}, wait.what), ` ${wait.why} `, wait.link && element("a", { href: wait.link }, "open")));
  const warnings = summary.warnings.map((warning) => element("li", { class: "warning" }, warning));
  find("#waits").hidden = !waits.length && !warnings.length;
  find("#waits ul").replaceChildren(...waits, ...warnings);
}

function showLeader() {
  const { leader, standing, baseline } = summary;
  const config = standing?.config || leader?.config;
  const final = summary.status === "completed";
  tell(find("#interim"), config ? (final ? "final" : "interim") : "");
  find("#interim").hidden = !config;
  find("#interim").className = `pill ${final ? "is-finished" : "is-interim"}`;
  tell(find("#verdict"), standing ? standing.told : tellDefaults());
  find("#seen").replaceChildren(...(standing && leader ? ["It has the highest expected value; the best single run is ", anchor(leader.run, set.runs.get(leader.run)?.label || leader.run), "."] : []));
  const usual = Object.keys(baseline).length > 0;
  find("#leader tbody").replaceChildren(...(config ? Object.entries(config).map(([name, value]) => element("tr", {},
    element("td", {}, name), element("td", { class: "number" }, formatValue(value)),
    usual ? element("td", { class: "number usual" }, baseline[name] === undefined ? "" : `usually ${formatValue(baseline[name])}`) : null)) : []));
  drawStanding(find("#standing"), summary);
}

/** Whether the best run beats the defaults, before a model can tell. */
function tellDefaults() {
  if (!summary.leader) return "No run has finished with a value yet.";
  if (!Object.keys(summary.baseline).length) return "Whether it beats the defaults is unknown: --baseline names them.";
  if (!summary.defaults.length) return "The defaults have not been trained yet.";
  const mean = summary.defaults.reduce((sum, value) => sum + value, 0) / summary.defaults.length;
  const ahead = summary.goal === "maximize" ? summary.leader.value > mean : summary.leader.value < mean;
  return ahead ? "One run of it is ahead of the defaults, which may be luck." : "Nothing has beaten the defaults yet.";
}

function drawRuns() {
  const runs = set.inOrder();
  const points = runs.map((run) => ({
    id: run.id, label: run.label, color: `stage-${run.stage}`, counts: run.phase === "finished", href: link(run.id),
    value: ["finished", "stopped"].includes(run.phase) ? run.value : null,
  }));
  const parted = [];
  for (const [index, run] of runs.entries()) if (index && run.stage !== runs[index - 1].stage) parted.push({ at: index + 0.5, text: `stage ${run.stage}` });
  const mean = summary.defaults.length ? summary.defaults.reduce((sum, value) => sum + value, 0) / summary.defaults.length : null;
  drawValues(find("#values"), points, { goal: summary.goal, height: innerWidth < 800 ? 280 : 370, light, parted, level: mean === null ? null : { value: mean, text: "defaults" } });
  const missing = runs.filter((run) => run.phase === "finished" && !isNumber(run.value)).length;
  tell(find("#values_note"), `${summary.metric}, and the best so far${missing ? `; ${missing} runs left no value` : ""}`);
}

function drawClosing() {
  const runs = set.inOrder();
  drawRanges(find("#ranges"), summary, runs, shadeRuns(runs, summary.goal));
}

function drawStrands() {
  const axes = summary.parameters.slice(0, 24).map((one) => ({
    name: one.name, read: (run) => run.config[one.name], scale: one.scale === "linear" ? "linear" : one.scale === "choices" ? null : "log",
  }));
  const valued = set.inOrder().filter((run) => isNumber(run.value) && !["failed", "lost"].includes(run.phase));
  axes.push({ name: summary.metric, read: (run) => run.value, scale: "linear", worse: summary.goal === "maximize" ? "low" : "high" });
  parallel.draw(valued, axes, summary.goal);
}

const figures = [[find("#values"), drawRuns], [find("#ranges"), drawClosing], [find("#parallel"), drawStrands]].map(([target, one]) => whenSeen(target, one));

const draw = eventually(() => {
  if (!summary) return;
  for (const one of figures) one();
  drawStanding(find("#standing"), summary);
  const { revision } = set;
  requestAnimationFrame(() => {
    performance.measure("drawn", { start: answeredAt }); // to where the frame is painted
    document.documentElement.dataset.drawn = String(revision);
  });
});

onResize(find("#values"), draw);

follow(`${address}/changes`, (answer) => {
  answeredAt = performance.now();
  if (answer.summary) summary = answer.summary;
  const whole = set.revision === 0;
  const changed = set.takeRuns(answer, summary);
  if (changed === null) return { query: {} };
  if (!table) makeTable();
  table.now = answer.now;
  showHead(answer);
  if (answer.summary) {
    showStages();
    showWaits();
    showLeader();
  }
  if (answer.summary || changed.length) {
    showRunning(summary, [...set.runs.values()], answer.now, anchor);
    showFailures(set.inOrder(), anchor);
    table.draw(new Set(whole ? [] : changed.map((run) => run.id)));
    draw();
  }
  const over = summary.status !== "running";
  return { query: { since: set.revision }, wait: over ? 10000 : 0, done: over };
});

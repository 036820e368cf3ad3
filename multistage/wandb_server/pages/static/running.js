// The runs in training, each with its curve; those that failed, by their reason.

import { element, find, formatNumber, formatSpan, formatValue, shape, tell } from "./format.js";
import { findRange, isNumber } from "./scales.js";

const MOST = 24;
const EXAMPLES = 6;
const WIDTH = 240;
const HEIGHT = 54;

/** Show what is being trained, the furthest first; the best value of all as a line in each curve. */
export function showRunning(summary, runs, now, anchor) {
  const active = summary.status === "running" ? runs.filter((run) => run.phase === "active").sort((a, b) => (a.begun ?? Infinity) - (b.begun ?? Infinity)) : [];
  const root = find("#running");
  const shown = active.slice(0, MOST);
  tell(find("#running_count"), active.length ? `${active.length}${active.length > MOST ? `, the ${MOST} that began first` : ""}` : "");
  if (!shown.length) {
    root.replaceChildren(element("p", { class: "quiet" }, summary.status === "running" ? "No run is in training at this moment." : "The sweep runs no more."));
    return;
  }
  const values = shown.flatMap((run) => run.curve.map(([, value]) => value));
  const range = findRange([...values, ...(summary.leader ? [summary.leader.value] : [])], summary.goal === "maximize" ? "low" : "high");
  root.replaceChildren(...shown.map((run) => showCard(run, range, summary, now, anchor)));
}

function showCard(run, range, summary, now, anchor) {
  const facts = [run.begun ? formatSpan(now - run.begun) : "starting", run.rows ? `${formatNumber(run.rows)} rows` : "", run.finalist ? "finalist" : "", run.worker || ""].filter(Boolean);
  return element("article", { "data-run": run.id },
    element("div", { class: "heading" }, anchor(run.id, run.label), element("b", {}, isNumber(run.value) ? formatNumber(run.value) : "")),
    element("div", { class: "spark" }, run.curve.length > 1 && range ? drawSpark(run, range, summary) : element("div", { class: "none" }, isNumber(run.value) ? "one value so far" : "nothing logged yet")),
    element("p", { class: "quiet" }, facts.join(" · ")),
    element("p", { class: "config" }, ...Object.entries(run.config).slice(0, 6).map(([name, value]) => element("span", {}, element("i", {}, name), ` ${formatValue(value)}`))));
}

/** A small curve, on the scale that all of them share. */
function drawSpark(run, [low, high], summary) {
  const [first, last] = [run.curve[0][0], run.curve[run.curve.length - 1][0]];
  const x = (rows) => (last > first ? ((rows - first) / (last - first)) * WIDTH : WIDTH);
  const y = (value) => (high > low ? HEIGHT - 3 - ((Math.min(Math.max(value, low), high) - low) / (high - low)) * (HEIGHT - 6) : HEIGHT / 2);
  const path = run.curve.map(([rows, value], index) => `${index ? "L" : "M"}${x(rows).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const drawing = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `from ${formatNumber(run.curve[0][1])} to ${formatNumber(run.value)}` },
    shape("path", { class: "spark_ground", d: `${path}V${HEIGHT}H0Z` }));
  if (summary.leader) drawing.append(shape("line", { class: "level", x1: 0, x2: WIDTH, y1: y(summary.leader.value), y2: y(summary.leader.value), "vector-effect": "non-scaling-stroke" }, shape("title", {}, "the best so far")));
  drawing.append(shape("path", { class: "spark_line", d: path }));
  return drawing;
}

/** Show what failed, runs of one reason together: the reason's numbers differ from run to run. */
export function showFailures(runs, anchor) {
  const bad = runs.filter((run) => run.phase === "failed" || run.phase === "lost");
  find("#failures").hidden = !bad.length;
  const groups = new Map();
  for (const run of bad) {
    const key = `${run.phase} ${run.error.replace(/[\d.]+(?:e[-+]?\d+)?/g, "#")}`;
    groups.set(key, [...(groups.get(key) || []), run]);
  }
  const count = (phase) => bad.filter((run) => run.phase === phase).length;
  tell(find("#failed_count"), [count("failed") && `${count("failed")} failed`, count("lost") && `${count("lost")} lost to the machine`].filter(Boolean).join(", "));
  const sorted = [...groups.values()].sort((a, b) => b.length - a.length);
  find("#failures ul").replaceChildren(...sorted.map((group) => {
    const [last] = group.slice(-1);
    const reason = last.error || (last.phase === "lost" ? "Nothing was heard of it any more." : "It did not say why; its page has its output.");
    const examples = group.slice(-EXAMPLES).reverse().flatMap((run, index) => [index ? ", " : "", anchor(run.id, run.label)]);
    const rest = group.length > EXAMPLES ? ` and ${group.length - EXAMPLES} more` : "";
    const fate = last.phase === "lost" ? ". A lost run costs nothing of the budget: its config is trained again." : "";
    return element("li", { class: `is-${last.phase}` }, element("b", {}, `${group.length} ×`), element("code", {}, reason), element("span", { class: "quiet" }, ...examples, rest, fate));
  }));
}

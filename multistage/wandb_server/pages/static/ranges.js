// How each range closes in: its stages from top to bottom, a dot a run, warm where it is among the best.

import { element, formatValue, shape, tell } from "./format.js";
import { isNumber } from "./scales.js";

const HEIGHT = 178;
const MARGIN = { left: 8, right: 8, top: 6, bottom: 34 };
const SHADES = 6;
const LETTER = 6;

const SCALES = { linear: (value) => value, log: Math.log, log2: Math.log2 };

/** Where a value lies in the first range, from 0 to 1; null where it has no place there. */
function place(parameter, value) {
  if (parameter.scale === "choices") {
    const index = parameter.choices.indexOf(value);
    return index < 0 ? null : (index + 0.5) / parameter.choices.length;
  }
  const [start, end] = parameter.extent;
  if (!isNumber(value)) return null;
  return end > start ? (SCALES[parameter.scale](value) - start) / (end - start) : 0.5;
}

/** How far apart neighbouring values lie where there are few; 0 where any number is one. */
function measureCell(parameter, runs) {
  if (parameter.scale === "choices") return 1 / parameter.choices.length;
  const seen = new Set(runs.map((run) => run.config[parameter.name]));
  return seen.size <= 12 && runs.length > 30 ? 0.6 / Math.max(2, seen.size) : 0;
}

/** A shade for each run: by rank, so that a single outlier does not take the colours. */
export function shadeRuns(runs, goal) {
  const sign = goal === "maximize" ? 1 : -1;
  const valued = runs.filter((run) => isNumber(run.value) && run.color !== "failed" && run.color !== "lost").sort((a, b) => sign * (a.value - b.value));
  const best = Math.max(1, Math.round(valued.length * 0.04));
  return new Map(valued.map((run, rank) => [run.id, rank >= valued.length - best ? SHADES - 1 : Math.floor(((SHADES - 1) * rank) / valued.length)]));
}

const paint = (shade) => (shade === SHADES - 1 ? "var(--best)" : `color-mix(in oklab, var(--link) ${20 * shade}%, var(--stage-1))`);

/** Draw all ranges; `runs` in their order, `shades` of them. */
export function drawRanges(root, summary, runs, shades) {
  const boxes = summary.parameters.map((parameter) => [...root.children].find((one) => one.dataset.name === parameter.name) || makeBox(parameter));
  if (boxes.some((box, index) => root.children[index] !== box)) root.replaceChildren(...boxes);
  const width = boxes[0]?.querySelector("figure").clientWidth;
  if (!width) return;
  summary.parameters.forEach((parameter, index) => drawRange(boxes[index], parameter, summary, runs, shades, width));
}

function makeBox(parameter) {
  return element("article", { "data-name": parameter.name },
    element("div", { class: "heading" }, element("b", {}, parameter.name), element("span", {})),
    element("figure", { class: "plot" }), element("p", { class: "quiet" }));
}

function drawRange(box, parameter, summary, runs, shades, width) {
  const now = parameter.spans[parameter.spans.length - 1];
  tell(box.querySelector(".heading span"), parameter.importance === null ? "" : `matters ${Math.round(100 * parameter.importance)}%`);
  tell(box.querySelector("p"), parameter.spans.length > 1 ? `stage ${now.stage}: ${now.words}` : `${now.words}, not narrowed yet`);
  box.querySelector("p").title = parameter.spans.map((span) => span.why).filter(Boolean).join("\n");
  const x = (unit) => MARGIN.left + Math.min(1, Math.max(0, unit)) * (width - MARGIN.left - MARGIN.right);
  const total = summary.stages.reduce((sum, stage) => sum + stage.runs, 0);
  const tops = [];
  let sofar = 0;
  for (const stage of summary.stages) {
    tops.push(sofar);
    sofar += stage.runs;
  }
  const bottom = HEIGHT - MARGIN.bottom;
  const y = (count) => MARGIN.top + (Math.min(count, total) / Math.max(1, total)) * (bottom - MARGIN.top);
  const drawing = shape("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${parameter.name}: ${parameter.spans.map((span) => span.words).join(", then ")}` });
  drawing.append(...drawBands(parameter, summary, tops, total, x, y));
  if (parameter.default !== null) {
    drawing.append(shape("line", { class: "usual", x1: x(parameter.default), x2: x(parameter.default), y1: MARGIN.top, y2: bottom }, shape("title", {}, "the usual value")));
  }
  drawing.append(...drawDots(parameter, runs, shades, tops, summary, x, y));
  const best = (summary.standing || summary.leader)?.config[parameter.name];
  drawing.append(...drawEnds(parameter, best, width, bottom, x), ...drawBest(parameter, best, bottom, x));
  box.querySelector("figure").replaceChildren(drawing);
}

/** The stages' ranges, one below the other, with a slope from each to the next. */
function drawBands(parameter, summary, tops, total, x, y) {
  const parts = [];
  parameter.spans.forEach((span, index) => {
    const [from, to] = [tops[span.stage - 1], tops[span.stage - 1] + summary.stages[span.stage - 1].runs];
    const before = index > 0 ? parameter.spans[index - 1] : null;
    const [top, bottom] = [y(from), y(to)];
    const bend = Math.min(14, (bottom - top) / 2);
    for (const [low, high] of span.parts) {
      const [left, right] = [x(low), x(high)];
      // From the range before where there is one; of choices each has its own.
      const [wideLeft, wideRight] = before && before.parts.length === 1 && span.parts.length === 1 ? [x(before.parts[0][0]), x(before.parts[0][1])] : [left, right];
      const middle = top + bend / 2;
      const down = `M${wideLeft} ${top}C${wideLeft} ${middle} ${left} ${middle} ${left} ${top + bend}V${bottom}`;
      const up = `V${top + bend}C${right} ${middle} ${wideRight} ${middle} ${wideRight} ${top}`;
      parts.push(shape("path", { class: "band", d: `${down}H${right}${up}Z` }), shape("path", { class: "banks", d: `${down}M${right} ${bottom}${up}` }));
    }
  });
  return parts;
}

function drawDots(parameter, runs, shades, tops, summary, x, y) {
  const cell = measureCell(parameter, runs);
  const paths = Array.from({ length: SHADES }, () => "");
  const seen = summary.stages.map(() => 0);
  for (const run of runs) {
    const index = seen[run.stage - 1]++;
    const shade = shades.get(run.id);
    const unit = shade === undefined ? null : place(parameter, run.config[parameter.name]);
    if (unit === null) continue;
    const jitter = cell ? (((index * 0.618034) % 1) - 0.5) * cell * 0.7 : 0;
    const at = tops[run.stage - 1] + Math.min(index, summary.stages[run.stage - 1].runs - 1) + 0.5;
    paths[shade] += `M${x(unit + jitter).toFixed(1)} ${y(at).toFixed(1)}h0`;
  }
  const crowd = runs.length > 400 ? 0.75 : 1;
  return paths.map((d, shade) => d && shape("path", { class: "small_dots", d, vars: { stroke: paint(shade), "stroke-width": runs.length > 400 ? "3px" : "4.5px" }, "stroke-opacity": shade === SHADES - 1 ? 1 : crowd })).filter(Boolean);
}

function drawEnds(parameter, best, width, bottom, x) {
  if (parameter.scale !== "choices") {
    return [
      shape("text", { x: MARGIN.left, y: bottom + 14 }, parameter.ends[0]),
      shape("text", { x: width - MARGIN.right, y: bottom + 14, "text-anchor": "end" }, parameter.ends[1]),
    ];
  }
  const room = Math.max(2, Math.floor((width - 16) / parameter.choices.length / LETTER) - 1);
  return parameter.choices.map((choice, index) => {
    const words = formatValue(choice);
    return shape("text", { x: x((index + 0.5) / parameter.choices.length), y: bottom + 14, "text-anchor": "middle", class: choice === best ? "chosen" : null }, words.length > room ? `${words.slice(0, room - 1)}…` : words, shape("title", {}, words));
  });
}

function drawBest(parameter, best, bottom, x) {
  const unit = best === undefined || parameter.scale === "choices" ? null : place(parameter, best);
  if (unit === null) return [];
  const at = x(unit);
  const anchor = unit < 0.15 ? "start" : unit > 0.85 ? "end" : "middle";
  return [
    shape("line", { class: "here", x1: at, x2: at, y1: bottom - 4, y2: bottom + 18 }),
    shape("text", { class: "chosen", x: anchor === "middle" ? at : anchor === "start" ? at - 3 : at + 3, y: bottom + 30, "text-anchor": anchor }, formatValue(best)),
  ];
}

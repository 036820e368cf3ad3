// Curves and dots, as SVG: a handful of elements however many runs there are.

import { element, formatNumber, formatSpan, shape } from "./format.js";
import { findRange, isNumber, linear } from "./scales.js";

export const COLORS = Array.from({ length: 10 }, (_, place) => `var(--curve-${place})`);
const SMALL = { left: 44, right: 10, top: 8, bottom: 20 };

/** An empty drawing with axes in a figure; null where there is nothing to draw. */
export function frame(figure, { height, xs, ys, worse = null, showX = formatNumber, zero = false }) {
  const width = figure.clientWidth;
  const [xRange, yRange] = [findRangeOf(xs), findRange(ys, worse)];
  if (!width || !xRange || !yRange) return null;
  const margin = SMALL;
  const x = linear(xRange[0], xRange[1], margin.left, width - margin.right);
  const room = (yRange[1] - yRange[0]) * 0.04;
  const y = linear(zero ? Math.min(0, yRange[0]) : yRange[0] - room, yRange[1] + room, height - margin.bottom, margin.top);
  const drawing = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
  for (const tick of y.ticks(height > 200 ? 5 : 3)) {
    const at = y.place(tick);
    drawing.append(
      shape("line", { class: "rule", x1: margin.left, x2: width - margin.right, y1: at, y2: at }),
      shape("text", { x: margin.left - 6, y: at + 4, "text-anchor": "end" }, formatNumber(tick)),
    );
  }
  for (const tick of x.ticks(Math.max(2, Math.floor(width / 110)))) {
    drawing.append(shape("text", { x: x.place(tick), y: height - 5, "text-anchor": "middle" }, showX(tick)));
  }
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  drawing.append(shape("clipPath", { id: clip }, shape("rect", { x: margin.left - 4, y: 0, width: width - margin.left - margin.right + 8, height: height - margin.bottom + 4 })));
  const body = shape("g", { "clip-path": `url(#${clip})` });
  drawing.append(body);
  return { drawing, body, x, y, width, height };
}

function findRangeOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!isNumber(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** Say that there is nothing to draw. */
export function sayNone(figure, text) {
  figure.replaceChildren(element("p", { class: "none" }, text));
}

/**
 * Draw curves, the first one on top.
 *
 * @param curves each `{id, label, color, href, steps, times, values}`
 * @param axis "steps" or "times"
 * @param smooth weight of the exponential mean, 0 for none
 */
export function drawCurves(figure, curves, { height = 260, axis = "steps", smooth = 0, key = true, none = "Nothing logged yet." } = {}) {
  const seen = curves.map((curve) => ({ ...curve, places: readPlaces(curve, axis) })).filter((curve) => curve.values.length);
  const made = seen.length && frame(figure, {
    height, xs: seen.flatMap((curve) => curve.places), ys: seen.flatMap((curve) => curve.values),
    showX: axis === "times" ? (seconds) => formatSpan(seconds * 1000) : formatNumber,
  });
  if (!made) return sayNone(figure, none);
  for (const curve of [...seen].reverse()) {
    curve.shown = smooth ? smoothen(curve.values, smooth) : curve.values;
    const add = (values, kind) => made.body.append(shape("path", { class: `curve ${kind}`, vars: { stroke: curve.color }, d: trace(curve.places, values, made), "data-run": curve.id }));
    if (smooth) add(curve.values, "raw");
    add(curve.shown, "");
    if (curve.values.length === 1) {
      made.body.append(shape("circle", { cx: made.x.place(curve.places[0]), cy: made.y.place(curve.values[0]), r: 3, vars: { fill: curve.color } }));
    }
  }
  const parts = [made.drawing];
  if (key) parts.push(element("div", { class: "key" }, ...seen.map((curve) => element("a", { href: curve.href, vars: { "--dot": curve.color } }, curve.label))));
  figure.replaceChildren(...parts);
  follow(figure, made, (pixelX, pixelY) => nearest(seen, made, pixelX, pixelY, axis));
  return undefined;
}

function readPlaces(curve, axis) {
  return axis === "times" && curve.times.every(isNumber) ? curve.times : curve.steps;
}

function trace(places, values, { x, y }) {
  let path = "";
  values.forEach((value, index) => {
    path += `${path ? "L" : "M"}${x.place(places[index]).toFixed(1)} ${y.place(value).toFixed(1)}`;
  });
  return path;
}

function smoothen(values, weight) {
  let [mean, mass] = [0, 0];
  return values.map((value) => {
    mean = mean * weight + value * (1 - weight);
    mass = mass * weight + (1 - weight);
    return mean / mass;
  });
}

function nearest(curves, { x, y }, pixelX, pixelY, axis) {
  let best = null;
  for (const curve of curves) {
    const index = search(curve.places, x.invert(pixelX));
    const [atX, atY] = [x.place(curve.places[index]), y.place(curve.shown[index])];
    const far = Math.hypot((atX - pixelX) * 0.6, atY - pixelY);
    if (!best || far < best.far) best = { far, atX, atY, curve, index };
  }
  const { curve, index } = best;
  const where = axis === "times" && curve.places === curve.times ? formatSpan(curve.times[index] * 1000) : `step ${formatNumber(curve.steps[index])}`;
  return { ...best, color: curve.color, id: curve.id, text: `${curve.label}\n${where}: ${formatNumber(curve.values[index])}` };
}

function search(sorted, value) {
  let [low, high] = [0, sorted.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle;
    else high = middle;
  }
  return value - sorted[low] < sorted[high] - value ? low : high;
}

/** Show what is nearest to the pointer; `look` gives its place, colour, text and, to be opened, address. */
export function follow(figure, made, look, light = () => {}) {
  const mark = shape("circle", { class: "mark", r: 4.5, visibility: "hidden" });
  const tip = element("div", { class: "tip", hidden: true });
  made.drawing.append(mark);
  figure.append(tip);
  let found = null;
  const hide = () => {
    found = null;
    mark.setAttribute("visibility", "hidden");
    tip.hidden = true;
    light(null);
  };
  made.drawing.addEventListener("pointermove", (event) => {
    const box = made.drawing.getBoundingClientRect();
    found = look(event.clientX - box.left, event.clientY - box.top);
    if (!found || !isNumber(found.atX) || !isNumber(found.atY)) return hide();
    for (const [name, value] of Object.entries({ cx: found.atX, cy: found.atY, visibility: "visible" })) mark.setAttribute(name, value);
    mark.style.fill = found.color;
    tip.textContent = found.text;
    tip.hidden = false;
    tip.style.left = `${Math.max(0, Math.min(found.atX + 12, made.width - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, found.atY - tip.offsetHeight - 10)}px`;
    light(found.id);
    return undefined;
  });
  made.drawing.addEventListener("pointerleave", hide);
  made.drawing.addEventListener("click", () => {
    if (found?.href) location.assign(found.href);
  });
}

/**
 * Draw each run's value in the order in which the runs were made, and the best so far.
 *
 * @param points each `{id, label, value, color, counts, href}`, oldest first; `counts` tells whether it may be the best
 * @param parted where something begins, each `{at, text}`
 * @param level a value to compare with, `{value, text}`
 */
export function drawValues(figure, points, { goal, height = 280, light, parted = [], level = null }) {
  const valued = points.map((point, index) => ({ ...point, at: index + 1 })).filter((point) => isNumber(point.value));
  const made = valued.length && frame(figure, {
    height, xs: [1, Math.max(points.length, 2)], ys: [...valued.map((point) => point.value), ...(level ? [level.value] : [])], worse: goal === "maximize" ? "low" : "high",
  });
  if (!made) return sayNone(figure, "No run has a value yet.");
  const { x, y, body } = made;
  const clamp = (value) => Math.min(Math.max(value, y.low), y.high);
  for (const { at, text } of parted) {
    body.append(shape("line", { class: "parted", x1: x.place(at), x2: x.place(at), y1: 0, y2: height }), shape("text", x.place(at) + 50 > made.width ? { x: x.place(at) - 4, y: 10, "text-anchor": "end" } : { x: x.place(at) + 4, y: 10 }, text));
  }
  if (level) {
    const at = y.place(clamp(level.value));
    const right = x.place(points.length);
    body.append(shape("line", { class: "level", x1: x.place(1), x2: right, y1: at, y2: at }), shape("text", { x: right, y: at - 4, "text-anchor": "end" }, level.text));
  }
  const paths = new Map();
  for (const point of valued) {
    point.pixel = [x.place(point.at), y.place(clamp(point.value))];
    paths.set(point.color, `${paths.get(point.color) || ""}M${point.pixel[0].toFixed(1)} ${point.pixel[1].toFixed(1)}h0`);
  }
  for (const [color, d] of paths) body.append(shape("path", { class: "dots", d, vars: { stroke: `var(--${color})` }, "stroke-opacity": valued.length > 1000 ? 0.5 : 0.8 }));
  let best = null;
  let stair = "";
  for (const { value, pixel, counts } of valued) {
    if (!counts) continue;
    if (best !== null && (goal === "maximize" ? value <= best : value >= best)) continue;
    best = value;
    stair += stair ? `H${pixel[0].toFixed(1)}V${pixel[1].toFixed(1)}` : `M${pixel[0].toFixed(1)} ${pixel[1].toFixed(1)}`;
  }
  if (stair) body.append(shape("path", { class: "stair", d: `${stair}H${x.place(points.length).toFixed(1)}` }));
  figure.replaceChildren(made.drawing);
  follow(figure, made, (pixelX, pixelY) => {
    let [found, least] = [null, 40];
    for (const point of valued) {
      const far = Math.hypot(point.pixel[0] - pixelX, point.pixel[1] - pixelY);
      if (far < least) [found, least] = [point, far];
    }
    return found && { atX: found.pixel[0], atY: found.pixel[1], color: `var(--${found.color})`, id: found.id, href: found.href, text: `${found.label}: ${formatNumber(found.value)}` };
  }, light);
  return undefined;
}

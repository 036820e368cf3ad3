// Parallel coordinates: an axis a hyperparameter, a strand a run, warm where the value is among the best.

import { element, shape, shorten } from "./format.js";
import { sayNone } from "./charts.js";
import { categories, findRange, isNumber, linear, logarithmic, looksLogarithmic } from "./scales.js";

const LETTER = 6.5;
const MARGIN = { left: 46, right: 40, top: 34, bottom: 14 };
const SHADES = 12;
const HEIGHT = 300;
const MOST_TICKS = 6;

const listTicks = (axis) => axis.ticks || axis.map.ticks(5);

export class Parallel {
  /** @param changed called when other runs are chosen on the axes */
  constructor(figure, { changed, light }) {
    this.figure = figure;
    this.changed = changed;
    this.light = light;
    this.brushes = new Map();
  }

  /** Whether a run is within every chosen stretch. */
  admits(run) {
    return [...this.brushes.values()].every(({ low, high, axis }) => {
      const value = axis.measure(run);
      return value !== null && value >= low && value <= high;
    });
  }

  /**
   * Draw the runs.
   *
   * @param runs what has a value, each with `id`
   * @param axes each `{name, read, scale, bounds}`; the last one is the metric
   * @param goal whether more is better
   */
  draw(runs, axes, goal) {
    const width = this.figure.clientWidth;
    if (!runs.length || !width) return sayNone(this.figure, "No run has a value yet.");
    const wide = Math.max(width, axes.length * 74);
    const drawing = shape("svg", { width: wide, height: HEIGHT, viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img" });
    drawing.style.width = `${wide}px`;
    const [top, bottom] = [MARGIN.top, HEIGHT - MARGIN.bottom];
    const scaled = axes.map((axis) => this.scale({ ...axis }, runs, [bottom, top]));
    const left = Math.max(MARGIN.left, 12 + LETTER * Math.max(...listTicks(scaled[0]).map((tick) => scaled[0].map.show(tick).length)));
    const step = (wide - left - MARGIN.right) / Math.max(1, axes.length - 1);
    this.axes = scaled.map((axis, index) => Object.assign(axis, { at: axes.length === 1 ? wide / 2 : left + index * step }));
    this.drawing = drawing;
    this.strands = shape("g");
    drawing.append(this.strands);
    this.order(runs, goal);
    for (const axis of this.axes) this.drawAxis(axis, top, bottom, Math.max(8, Math.floor(step / 7)));
    this.lit = shape("path", { class: "strand lit", visibility: "hidden" });
    drawing.append(this.lit);
    const holder = element("div", { class: "scroll" }, drawing);
    holder.scrollLeft = this.figure.firstChild?.scrollLeft || 0;
    this.figure.replaceChildren(holder);
    this.paint();
    return undefined;
  }

  scale(axis, runs, [from, to]) {
    const values = runs.map(axis.read).filter((value) => value !== null && value !== undefined);
    const numbers = values.filter(isNumber);
    const [low, high] = axis.bounds || [null, null];
    if (numbers.length < values.length / 2 || !numbers.length) {
      axis.map = categories([...new Set(values.map(String))].sort(), from, to);
      axis.words = true;
    } else {
      const range = axis.worse ? findRange(numbers, axis.worse) : [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))];
      const [least, most] = [Math.min(range[0], low ?? range[0]), Math.max(range[1], high ?? range[1])];
      const distinct = [...new Set(numbers)].sort((a, b) => a - b);
      const log = axis.scale === "log" || (axis.scale !== "linear" && looksLogarithmic(distinct));
      axis.map = log && least > 0 && least < most ? logarithmic(least, most, from, to) : linear(least, most, from, to);
      if (distinct.length <= MOST_TICKS) axis.ticks = distinct;
    }
    axis.measure = (run) => {
      const value = axis.read(run);
      if (axis.words) return value === null || value === undefined ? null : axis.map.place(value) ?? null;
      return isNumber(value) ? value : null;
    };
    axis.place = (run) => {
      const value = axis.measure(run);
      if (value === null || axis.words) return value;
      return axis.map.place(Math.min(Math.max(value, axis.map.low), axis.map.high));
    };
    for (const brush of this.brushes.values()) if (brush.axis.name === axis.name) brush.axis = axis;
    return axis;
  }

  /** Give each run its path and its shade: by rank, so that a single outlier does not take the colours. */
  order(runs, goal) {
    const metric = this.axes[this.axes.length - 1];
    const sign = goal === "maximize" ? 1 : -1;
    const valued = runs.filter((run) => metric.measure(run) !== null).sort((a, b) => sign * (metric.measure(a) - metric.measure(b)));
    this.runs = valued.map((run, index) => ({ run, path: this.trace(run), shade: valued.length > 1 ? index / (valued.length - 1) : 1 })).filter(({ path }) => path);
  }

  trace(run) {
    let path = "";
    for (const axis of this.axes) {
      const at = axis.place(run);
      if (at === null || at === undefined) return "";
      path += `${path ? "L" : "M"}${axis.at.toFixed(1)} ${at.toFixed(1)}`;
    }
    return path;
  }

  paint() {
    const crowd = this.runs.length > 1500 ? 0.35 : this.runs.length > 300 ? 0.55 : 0.8;
    const shades = Array.from({ length: SHADES }, () => "");
    let out = "";
    for (const { run, path, shade } of this.runs) {
      if (this.admits(run)) shades[Math.min(SHADES - 1, Math.floor(shade * SHADES))] += path;
      else out += path;
    }
    this.strands.replaceChildren(
      ...(out ? [shape("path", { class: "strand", d: out, vars: { stroke: "var(--line)" }, "stroke-opacity": 0.6 })] : []),
      ...shades.map((d, index) => d && shape("path", {
        class: "strand", d, "data-shade": index,
        vars: { stroke: index === SHADES - 1 ? "var(--best)" : `color-mix(in oklab, var(--link) ${Math.round((100 * index) / (SHADES - 2))}%, var(--faint))` },
        "stroke-opacity": index === SHADES - 1 ? 0.9 : crowd * (0.3 + (0.6 * index) / SHADES),
      })).filter(Boolean),
    );
  }

  drawAxis(axis, top, bottom, room) {
    const last = axis === this.axes[this.axes.length - 1];
    const group = shape("g", { "data-axis": axis.name },
      shape("line", { class: "axis", x1: axis.at, x2: axis.at, y1: top, y2: bottom }),
      shape("text", { class: "name", x: last ? axis.at + MARGIN.right : axis.at, y: 14, "text-anchor": last ? "end" : "middle" }, shorten(axis.name, room), shape("title", {}, axis.name)));
    for (const tick of listTicks(axis)) {
      const at = axis.map.place(tick);
      group.append(
        shape("line", { class: "axis", x1: axis.at - 4, x2: axis.at, y1: at, y2: at }),
        shape("text", { x: axis.at - 7, y: at + 4, "text-anchor": "end" }, axis.map.show(tick)),
      );
    }
    const brush = this.brushes.get(axis.name);
    const band = shape("rect", { class: "brush", x: axis.at - 8, width: 16, rx: 3, y: brush?.from ?? 0, height: brush ? brush.to - brush.from : 0, visibility: brush ? "visible" : "hidden" });
    const grip = shape("rect", { class: "grip", x: axis.at - 18, width: 36, y: top - 6, height: bottom - top + 12 });
    this.listen(axis, grip, band, top, bottom);
    group.append(band, grip);
    this.drawing.append(group);
  }

  listen(axis, grip, band, top, bottom) {
    let start = null;
    const at = (event) => Math.min(bottom, Math.max(top, event.clientY - this.drawing.getBoundingClientRect().top));
    grip.addEventListener("pointerdown", (event) => {
      start = at(event);
      grip.setPointerCapture(event.pointerId);
    });
    grip.addEventListener("pointermove", (event) => {
      if (start === null) return;
      const [from, to] = [Math.min(start, at(event)), Math.max(start, at(event))];
      if (to - from < 4) return;
      const ends = axis.words ? [from, to] : [axis.map.invert(from), axis.map.invert(to)];
      const [low, high] = [Math.min(...ends), Math.max(...ends)];
      // Up to an axis's end means all beyond it too: values far out are drawn there.
      const [beyond, below] = axis.words ? [to >= bottom, from <= top] : [from <= top, to >= bottom];
      this.brushes.set(axis.name, { axis, from, to, low: below ? -Infinity : low, high: beyond ? Infinity : high });
      for (const [name, value] of Object.entries({ y: from, height: to - from, visibility: "visible" })) band.setAttribute(name, value);
      this.paint();
    });
    grip.addEventListener("pointerup", (event) => {
      if (start === null) return;
      if (Math.abs(at(event) - start) < 4 && this.brushes.delete(axis.name)) band.setAttribute("visibility", "hidden");
      start = null;
      this.paint();
      this.changed();
    });
  }

  /** Light one run's strand. */
  point(id) {
    if (!this.lit) return;
    const found = id && this.runs.find(({ run }) => run.id === id);
    this.lit.setAttribute("visibility", found ? "visible" : "hidden");
    if (found) this.lit.setAttribute("d", found.path);
  }
}

// The best config against the defaults, on one line: what is expected of it, what was seen, what the defaults reached.

import { formatNumber, shape } from "./format.js";
import { linear } from "./scales.js";

const HEIGHT = 66;
const MARGIN = 12;

export function drawStanding(figure, { leader, standing, defaults }) {
  const width = figure.clientWidth;
  const values = [...(leader ? [leader.value] : []), ...(standing ? [standing.mean, ...standing.interval] : []), ...defaults];
  if (!width || !values.length) return figure.replaceChildren();
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = linear(low, high, MARGIN, width - MARGIN);
  const y = 34;
  const drawing = shape("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": "the best config and the defaults" },
    shape("line", { class: "rule", x1: 0, x2: width, y1: y, y2: y }));
  if (standing) {
    const [from, to] = standing.interval.map(x.place);
    drawing.append(shape("line", { class: "likely", x1: from, x2: to, y1: y, y2: y }, shape("title", {}, `95%: ${formatNumber(standing.interval[0])} to ${formatNumber(standing.interval[1])}`)));
  }
  for (const value of defaults) drawing.append(shape("circle", { class: "usual_dot", cx: x.place(value), cy: y, r: 4.5 }, shape("title", {}, `the defaults reached ${formatNumber(value)}`)));
  const labels = [];
  if (defaults.length) {
    const mean = defaults.reduce((sum, value) => sum + value, 0) / defaults.length;
    labels.push({ at: x.place(mean), text: `defaults ${formatNumber(mean)}`, below: true });
  }
  if (standing) {
    drawing.append(shape("circle", { class: "here_dot", cx: x.place(standing.mean), cy: y, r: 6 }, shape("title", {}, `expected: ${formatNumber(standing.mean)}`)));
    labels.push({ at: x.place(standing.mean), text: `expected ${formatNumber(standing.mean)}`, below: false });
  } else if (leader) {
    drawing.append(shape("circle", { class: "here_dot", cx: x.place(leader.value), cy: y, r: 6 }));
    labels.push({ at: x.place(leader.value), text: `best ${formatNumber(leader.value)}`, below: false });
  }
  for (const { at, text, below } of labels) {
    const anchor = at < width * 0.25 ? "start" : at > width * 0.75 ? "end" : "middle";
    drawing.append(shape("text", { x: anchor === "middle" ? at : anchor === "start" ? at - 6 : at + 6, y: below ? y + 22 : y - 13, "text-anchor": anchor, class: below ? "" : "name" }, text));
  }
  return figure.replaceChildren(drawing);
}

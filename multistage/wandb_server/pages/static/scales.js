// From values to places and back: linear, logarithmic and of categories; ticks that people can read.

import { formatNumber } from "./format.js";

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A linear scale from values to pixels. */
export function linear(low, high, from, to) {
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const slope = (to - from) / (high - low);
  return {
    low, high,
    place: (value) => from + (value - low) * slope,
    invert: (pixel) => low + (pixel - from) / slope,
    ticks: (count) => tickLinear(low, high, count),
    show: formatNumber,
  };
}

/** A logarithmic scale; values must be above 0. */
export function logarithmic(low, high, from, to) {
  const inner = linear(Math.log10(low), Math.log10(high), from, to);
  return {
    low, high,
    place: (value) => inner.place(Math.log10(value)),
    invert: (pixel) => 10 ** inner.invert(pixel),
    ticks: (count) => tickLog(10 ** inner.low, 10 ** inner.high, count),
    show: (value) => formatNumber(Number(value.toPrecision(4))),
  };
}

/** A scale of categories, evenly spaced. */
export function categories(names, from, to) {
  const step = (to - from) / Math.max(1, names.length - 1);
  const places = new Map(names.map((name, index) => [name, names.length === 1 ? (from + to) / 2 : from + index * step]));
  return {
    place: (value) => places.get(String(value)),
    invert: (pixel) => pixel,
    ticks: (count) => (names.length <= count * 2 ? names : names.filter((_, index) => index % Math.ceil(names.length / count / 2) === 0)),
    show: (name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name),
  };
}

function tickLinear(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1) {
    ticks.push(Number((index * step).toPrecision(12)));
  }
  return ticks;
}

function tickLog(low, high, count) {
  const decades = Math.log10(high / low);
  if (decades < 1) return tickLinear(low, high, count);
  const every = Math.max(1, Math.round(decades / count));
  const ticks = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); power <= Math.log10(high) + 1e-9; power += every) {
    ticks.push(Number((10 ** power).toPrecision(6)));
  }
  return ticks.length > 1 ? ticks : [low, high];
}

/** The value below which so much of the sorted numbers lies. */
export function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * (sorted.length - 1))))];
}

/** The range to draw: all of it, unless a few values far out would flatten the rest. */
export function findRange(values, worse = null) {
  const sorted = values.filter(isNumber).sort((a, b) => a - b);
  if (!sorted.length) return null;
  let [low, high] = [sorted[0], sorted[sorted.length - 1]];
  if (sorted.length >= 20) {
    const [inner, outer] = [quantile(sorted, 0.04), quantile(sorted, 0.96)];
    const room = (outer - inner) * 1.5;
    if (room > 0 && worse !== "high") low = Math.max(low, inner - room);
    if (room > 0 && worse !== "low") high = Math.min(high, outer + room);
  }
  return [low, high];
}

/** Whether distinct numbers, ascending and above 0, are better seen on a log scale: over two decades, or by doubling. */
export function looksLogarithmic(numbers) {
  if (numbers.length < 3 || numbers[0] <= 0) return false;
  if (numbers[numbers.length - 1] / numbers[0] >= 100) return true;
  const steps = numbers.slice(1).map((value, place) => value / numbers[place]);
  return numbers.length <= 20 && Math.min(...steps) >= 1.5 && Math.max(...steps) / Math.min(...steps) < 1.5;
}

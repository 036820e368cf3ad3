// Numbers, times and elements. Text from runs only ever becomes text: nothing here parses markup.

export const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; `on...` attributes are listeners, strings become text. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same within a drawing. */
export function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, text] of Object.entries(value)) made.style.setProperty(key, text);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const find = (selector, root = document) => root.querySelector(selector);

/** A number in at most five significant digits. */
export function formatNumber(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(5)));
}

/** Any logged value as a cell shows it. */
export function formatValue(value) {
  if (Number.isSafeInteger(value)) return String(value); // a seed is not to be rounded
  return typeof value === "number" ? formatNumber(value) : value === null || value === undefined ? "" : String(value);
}

/** Milliseconds as `1 h 05 min`. */
export function formatSpan(span) {
  const seconds = Math.max(0, Math.round(span / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")} min`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

/** How long ago a moment of the server's clock is. */
export function formatAge(moment, now) {
  return now - moment < 1500 ? "now" : `${formatSpan(now - moment)} ago`;
}

export function formatMoment(moment) {
  return new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The time of day, with the date where that is another one. */
export function formatClock(moment) {
  const then = new Date(moment);
  const clock = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  if (then.toDateString() === new Date().toDateString()) return clock;
  return `${then.toLocaleDateString([], { month: "short", day: "numeric" })}, ${clock}`;
}

/** The end of a long name, which tells more than its beginning. */
export function shorten(name, most) {
  return name.length > most ? `…${name.slice(1 - most)}` : name;
}

export function formatSize(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  for (; bytes >= 1000 && place < units.length - 1; place += 1) bytes /= 1000;
  return `${place ? bytes.toFixed(1) : bytes} ${units[place]}`;
}

/** What a run's state is called here, and the colour that it has. */
export function nameState(state, stopped, waits, early = false) {
  const halted = early ? "stopped early" : "stopped";
  switch (state) {
    case "pending": return waits ? ["queued", "queued"] : ["starting", "running"];
    case "preempted": return ["preempted", "queued"];
    case "running":
    case "preempting": return [stopped ? "stopping" : state, "running"];
    case "finished": return stopped ? [halted, "stopped"] : ["finished", "finished"];
    case "failed": return stopped ? [halted, "stopped"] : ["failed", "failed"];
    case "killed": return stopped ? [halted, "stopped"] : ["killed", "lost"];
    default: return stopped ? [halted, "stopped"] : [state, "lost"];
  }
}

/** Rows of names and values, in a list of facts. */
export function showFacts(list, facts) {
  list.replaceChildren(
    ...facts.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value, kind]) =>
      element("div", { class: kind }, element("dt", {}, name), element("dd", { class: kind }, value))),
  );
}

/** A bar of counts by state: `[["finished", 3], ...]`, out of so many. */
export function showMeter(meter, counts, expected) {
  const total = Math.max(expected || 0, counts.reduce((sum, [, count]) => sum + count, 0), 1);
  meter.replaceChildren(
    ...counts.filter(([, count]) => count).map(([color, count]) => {
      const part = element("i", { class: `is-${color}`, title: `${count} ${color}` });
      part.style.width = `${(100 * count) / total}%`;
      return part;
    }),
  );
}

/** Replace an element's text only where it changed. */
export function tell(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

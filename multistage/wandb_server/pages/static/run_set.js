// The runs of a page: kept from the server's answers, filtered and sorted here.

import { nameState } from "./format.js";

const FIELDS = ["id", "label", "state", "stopped", "exitcode", "sweep", "taken", "made", "begun", "ended", "heard"];
const TERM = /^([^<>=!]+?)(<=|>=|!=|<|>|=)(.*)$/;

export class RunSet {
  constructor() {
    this.runs = new Map();
    this.columns = [];
    this.places = new Map();
    this.revision = 0;
    this.early = false;
    this.total = 0;
  }

  /** Take in an answer; gives the changed runs, or null where everything has to be asked for again. */
  take(answer) {
    this.total = answer.total;
    if (answer.rows.length && this.revision === 0) this.runs.clear();
    const places = answer.columns.map(([section, key]) => this.findColumn(section, key));
    const changed = answer.rows.map((row) => this.takeRow(row, places));
    this.revision = answer.revision;
    if (this.runs.size !== Math.min(answer.total, answer.most)) {
      if (this.runs.size < answer.most || answer.total < this.runs.size) {
        this.runs.clear();
        this.revision = 0;
        return null;
      }
      const kept = [...this.runs.values()].sort((a, b) => b.made - a.made).slice(0, answer.most);
      this.runs = new Map(kept.map((run) => [run.id, run]));
    }
    return changed;
  }

  findColumn(section, key) {
    const id = `${section}.${key}`;
    if (!this.places.has(id)) {
      this.places.set(id, this.columns.length);
      const twin = this.columns.find((column) => column.key === key);
      this.columns.push({ id, section, key, title: twin ? id : key, read: (run) => run.values[this.places.get(id)] });
    }
    return this.places.get(id);
  }

  takeRow(row, places) {
    const run = Object.fromEntries(FIELDS.map((name, place) => [name, row[place]]));
    run.values = [];
    places.forEach((place, index) => {
      if (row[FIELDS.length + index] !== null && row[FIELDS.length + index] !== undefined) run.values[place] = row[FIELDS.length + index];
    });
    run.error = this.readError(run);
    [run.word, run.color] = nameState(run.state, run.stopped, !run.taken, this.early);
    this.runs.set(run.id, run);
    return run;
  }

  /** What a run said of its failure: the key under which the bundled trainings leave it. */
  readError(run) {
    const place = this.places.get("summary.error");
    return place === undefined ? null : run.values[place];
  }

  /** How many runs are in each state, in the order in which states matter. */
  count() {
    const counts = new Map(["running", "finished", "stopped", "failed", "lost", "queued"].map((color) => [color, 0]));
    for (const run of this.runs.values()) counts.set(run.color, counts.get(run.color) + 1);
    return [...counts];
  }

  /** How a column is found by what a person calls it. */
  findByName(name) {
    const exact = this.columns.find((column) => column.key === name || column.id === name);
    return exact || this.columns.find((column) => column.key.toLowerCase() === name.toLowerCase());
  }
}

/** Read `lr<1e-3 state=failed text`: gives a test of runs, and what of it was not understood. */
export function readFilter(text, set) {
  const tests = [];
  const unknown = [];
  for (const raw of text.match(/"[^"]*"|[^\s"]+(?:"[^"]*")?/g) || []) {
    const term = raw.replaceAll('"', "");
    const found = raw.startsWith('"') ? null : TERM.exec(term);
    if (!found) {
      const word = term.toLowerCase();
      tests.push((run) => `${run.label} ${run.id} ${run.word}`.toLowerCase().includes(word));
      continue;
    }
    const [, name, sign, wanted] = found;
    const read = findReader(name.trim(), set);
    if (!read) unknown.push(name.trim());
    else if (wanted !== "") tests.push((run) => compare(read(run), sign, wanted));
  }
  return { test: (run) => tests.every((test) => test(run)), unknown };
}

function findReader(name, set) {
  switch (name) {
    case "state": return (run) => run.word;
    case "name": return (run) => run.label;
    case "id": return (run) => run.id;
    case "sweep": return (run) => run.sweep;
    default: return set.findByName(name)?.read;
  }
}

function compare(value, sign, wanted) {
  if (value === undefined || value === null) return sign === "!=";
  const number = Number(wanted);
  const numeric = typeof value === "number" && !Number.isNaN(number);
  const [left, right] = numeric ? [value, number] : [String(value).toLowerCase(), wanted.toLowerCase()];
  switch (sign) {
    case "<": return numeric && left < right;
    case "<=": return numeric && left <= right;
    case ">": return numeric && left > right;
    case ">=": return numeric && left >= right;
    case "!=": return left !== right;
    default: return numeric ? left === right : left.includes(right);
  }
}

/** Sort by what `read` gives, what has no number last. */
export function sortRuns(runs, read, descending) {
  const keyed = runs.map((run) => [rank(read(run)), run]);
  const factor = descending ? -1 : 1;
  keyed.sort(([a, left], [b, right]) => {
    if (a === null || b === null) return a === b ? left.made - right.made : a === null ? 1 : -1;
    if (typeof a === typeof b) return (a < b ? -1 : a > b ? 1 : 0) * factor || left.made - right.made;
    return typeof a === "number" ? -1 : 1;
  });
  return keyed.map(([, run]) => run);
}

function rank(value) {
  if (value === undefined || value === null || value === "NaN" || value === "nan") return null;
  if (value === "Infinity" || value === "inf") return Infinity;
  if (value === "-Infinity" || value === "-inf") return -Infinity;
  return typeof value === "boolean" ? Number(value) : value;
}

// The console of a run: its last lines, followed; earlier ones on request.

import { element, find, tell } from "./format.js";

const COLOURS = new RegExp(String.raw`\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07`, "g");
const MOST_LINES = 20000;

export class LogView {
  constructor(path) {
    this.path = path;
    this.target = find("#log");
    this.lines = new Map();
    this.end = 0;
    find("#earlier").addEventListener("click", () => this.askEarlier());
  }

  /** Take in lines; a line that comes again, as a progress bar's does, is changed in its place. */
  take({ end, lines }) {
    const atEnd = this.target.scrollHeight - this.target.scrollTop - this.target.clientHeight < 40;
    this.end = end;
    const fresh = [];
    for (const [number, failed, raw] of lines) {
      const text = raw.replace(COLOURS, "");
      const known = this.lines.get(number);
      if (known) tell(known, `${text}\n`);
      else {
        const line = element("span", { class: failed ? "stderr" : null }, `${text}\n`);
        this.lines.set(number, line);
        fresh.push([number, line]);
      }
    }
    if (fresh.length) {
      const earliest = Math.min(...this.lines.keys());
      if (fresh[0][0] === earliest && this.lines.size > fresh.length) this.target.prepend(...fresh.map(([, line]) => line));
      else this.target.append(...fresh.map(([, line]) => line));
      if (atEnd) this.target.scrollTop = this.target.scrollHeight;
    }
    const first = this.lines.size ? Math.min(...this.lines.keys()) : 0;
    find("#earlier").hidden = first === 0 || this.lines.size > MOST_LINES;
    tell(find("#log_note"), this.lines.size ? (first ? `the last ${this.lines.size} of ${end} lines` : `${end} lines`) : "nothing printed");
  }

  async askEarlier() {
    const before = Math.min(...this.lines.keys());
    const answer = await fetch(`${this.path}/log?before=${before}`);
    if (!answer.ok) return;
    const height = this.target.scrollHeight - this.target.scrollTop;
    this.take({ ...(await answer.json()), end: this.end });
    this.target.scrollTop = this.target.scrollHeight - height;
  }
}

// The table of runs: columns to choose, sorting, filters, pages. What it shows is kept in the page's address.

import { element, find, formatClock, formatMoment, formatSpan, formatValue, tell } from "./format.js";
import { readFilter, sortRuns } from "./run_set.js";

const PAGE = matchMedia("(max-width: 50rem)").matches ? 20 : 50;
const MAX_SHOWN = 14;
const SPECIAL = new Set(["NaN", "Infinity", "-Infinity"]);

export class RunsTable {
  /**
   * @param set the runs
   * @param base the project's address
   * @param choose gives the columns to show at first, from the set's
   * @param best gives the id of the best run
   * @param changed called when other runs are shown, or in another order
   */
  constructor(set, { base, choose, best = () => null, changed = () => {}, light = () => {}, extra = [] }) {
    this.set = set;
    this.base = base;
    this.choose = choose;
    this.best = best;
    this.changed = changed;
    this.light = light;
    this.root = find("#runs");
    this.brush = () => true;
    this.now = Date.now();
    this.place = 0;
    this.shown = [];
    this.fresh = new Set();
    const query = new URLSearchParams(location.hash.slice(1));
    this.sort = query.get("sort");
    this.states = new Set((query.get("states") || "").split(",").filter(Boolean));
    this.chosen = query.get("columns") ? new Set(query.get("columns").split(",").map(decodeURIComponent)) : null;
    this.own = [
      { id: "name", title: "run", read: (run) => run.label },
      { id: "state", title: "state", read: (run) => run.word },
      ...extra,
      { id: "made", title: "made", read: (run) => run.made, show: (run) => formatClock(run.made), tell: (run) => formatMoment(run.made) },
      { id: "took", title: "trained for", read: (run) => this.measure(run), show: (run) => this.showSpan(run) },
    ];
    this.filter = find("#filter");
    this.filter.value = query.get("filter") || "";
    this.filter.addEventListener("input", () => this.restart());
    find("#back").addEventListener("click", () => this.turn(-PAGE));
    find("#forth").addEventListener("click", () => this.turn(PAGE));
    find("#columns").addEventListener("toggle", () => this.drawMenu());
    document.addEventListener("click", (event) => {
      if (!find("#columns").contains(event.target)) find("#columns").open = false;
    });
  }

  measure(run) {
    if (run.begun === null) return null;
    return (run.ended ?? (run.color === "running" ? this.now : run.heard)) - run.begun;
  }

  showSpan(run) {
    const span = this.measure(run);
    return span === null ? "" : formatSpan(span);
  }

  /** All columns, and those to show: in the page's own order, what else was chosen after that. */
  columns() {
    const all = [...this.own, ...this.set.columns];
    const usual = this.choose(this.set, MAX_SHOWN);
    const chosen = this.chosen || new Set(usual);
    const order = new Map(usual.map((id, place) => [id, place]));
    const shown = all.filter((column) => chosen.has(column.id));
    shown.sort((a, b) => (order.get(a.id) ?? all.length) - (order.get(b.id) ?? all.length));
    return { all, shown, chosen };
  }

  /** The runs that pass every filter, sorted. */
  select() {
    const { test, unknown } = readFilter(this.filter.value, this.set);
    tell(find("#told"), unknown.length ? `No run has ${unknown.join(", ")}; the columns list what there is.` : "");
    find("#told").hidden = !unknown.length;
    const { all } = this.columns();
    const descending = this.sort?.startsWith("-");
    const by = all.find((column) => column.id === this.sort?.replace(/^-/, "")) || all.find((column) => column.id === "made");
    const kept = [...this.set.runs.values()].filter(
      (run) => (!this.states.size || this.states.has(run.color)) && test(run) && this.brush(run),
    );
    return sortRuns(kept, by.read, this.sort ? descending : true);
  }

  turn(step) {
    this.place = Math.max(0, this.place + step);
    this.draw();
  }

  restart() {
    this.place = 0;
    this.remember();
    this.draw();
  }

  remember() {
    const query = new URLSearchParams();
    if (this.sort) query.set("sort", this.sort);
    if (this.filter.value) query.set("filter", this.filter.value);
    if (this.states.size) query.set("states", [...this.states].join(","));
    if (this.chosen) query.set("columns", [...this.chosen].map(encodeURIComponent).join(","));
    history.replaceState(null, "", `${location.pathname}${location.search}${[...query].length ? `#${query}` : ""}`);
  }

  sortBy(column) {
    const downFirst = typeof [...this.set.runs.values()].map(column.read).find((value) => value !== undefined && value !== null) === "number";
    const first = downFirst ? `-${column.id}` : column.id;
    const second = downFirst ? column.id : `-${column.id}`;
    this.sort = this.sort === first ? second : first;
    this.restart();
  }

  /** Draw what is to be seen; `fresh` are the ids of runs that just changed. */
  draw(fresh = new Set()) {
    this.shown = this.select();
    if (this.place >= this.shown.length) this.place = Math.max(0, Math.floor((this.shown.length - 1) / PAGE) * PAGE);
    const page = this.shown.slice(this.place, this.place + PAGE);
    const { shown } = this.columns();
    this.drawHead(shown, page);
    const best = this.best();
    find("tbody", this.root).replaceChildren(
      ...page.map((run) => this.drawRow(run, shown, run.id === best, fresh.has(run.id))),
      ...(page.length ? [] : [element("tr", {}, element("td", { colspan: shown.length || 1, class: "quiet" },
        this.set.runs.size ? "No run passes the filters." : "No run yet."))]),
    );
    const { size } = this.set.runs;
    const left = this.set.total > size ? ` (the newest of ${this.set.total})` : "";
    tell(find("#count"), this.shown.length === size ? `${size}${left}` : `${this.shown.length} of ${size}${left}`);
    tell(find("#place"), this.shown.length ? `${this.place + 1} to ${this.place + page.length} of ${this.shown.length}` : "");
    find("#back").disabled = this.place === 0;
    find("#forth").disabled = this.place + PAGE >= this.shown.length;
    find(".pager", this.root).hidden = this.shown.length <= PAGE;
    this.drawStates();
    this.changed(this.shown);
  }

  drawHead(shown, page) {
    find("thead", this.root).replaceChildren(
      element("tr", {}, ...shown.map((column) => {
        const by = (this.sort || "-made").replace(/^-/, "") === column.id;
        const order = by ? ((this.sort || "-made").startsWith("-") ? "descending" : "ascending") : null;
        const label = element("button", { type: "button", title: column.id, onclick: () => this.sortBy(column) }, column.title);
        const kind = !column.show && page.some((run) => typeof column.read(run) === "number") ? "number" : null;
        return element("th", { "aria-sort": order, "data-column": column.id, class: kind }, label);
      })),
    );
  }

  drawRow(run, shown, best, fresh) {
    const row = element("tr", {
      "data-run": run.id, class: fresh ? "fresh" : null,
      onmouseenter: () => this.light(run.id), onmouseleave: () => this.light(null),
    });
    for (const column of shown) {
      const value = column.read(run);
      const text = column.show ? column.show(run) : formatValue(value);
      if (column.id === "name") {
        row.append(element("td", { title: run.id }, element("a", { href: `${this.base}/runs/${encodeURIComponent(run.id)}` }, text)));
      } else if (column.id === "state") {
        row.append(element("td", { class: `state is-${run.color}`, title: run.error }, element("span", {}, text)));
      } else {
        const kind = !column.show && (typeof value === "number" || SPECIAL.has(value)) ? "number" : null;
        row.append(element("td", { class: best && column.isMetric ? "number best" : kind, title: column.tell ? column.tell(run) : text.length > 24 ? text : null }, text));
      }
    }
    return row;
  }

  drawStates() {
    const counts = this.set.count().filter(([color, count]) => count || this.states.has(color));
    const known = counts.map(([color, count]) => `${color}${count}`).join() + [...this.states].join();
    if (this.known === known) return;
    this.known = known;
    find("#states").replaceChildren(...counts.map(([color, count]) => element("button", {
      type: "button", "aria-pressed": String(this.states.has(color)), vars: { "--dot": `var(--${color})` }, "data-state": color,
      onclick: () => {
        if (!this.states.delete(color)) this.states.add(color);
        this.restart();
      },
    }, `${color} ${count}`)));
  }

  drawMenu() {
    const { all, chosen } = this.columns();
    find("#columns > div").replaceChildren(...all.map((column) => element("label", {}, element("input", {
      type: "checkbox", checked: chosen.has(column.id),
      onchange: (event) => {
        this.chosen = new Set(chosen);
        if (event.target.checked) chosen.add(column.id);
        else chosen.delete(column.id);
        this.chosen = new Set(chosen);
        this.remember();
        this.draw();
      },
    }), ` ${column.id}`)));
  }

  /** Light one run's row, as it is lit in a plot. */
  point(id) {
    for (const row of this.root.querySelectorAll("tbody tr")) row.classList.toggle("lit", row.dataset.run === id);
  }
}

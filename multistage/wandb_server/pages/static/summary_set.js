// The runs of a multi-stage sweep, as its driver tells them, behind what tables and plots of runs work with.

import { RunSet } from "./run_set.js";

const WORDS = { queued: "queued", active: "running", finished: "finished", stopped: "stopped early", failed: "failed", lost: "lost" };
const COLORS = { active: "running" };
const ms = (seconds) => (seconds === null || seconds === undefined ? null : seconds * 1000);

export class SummarySet extends RunSet {
  /** Take in the runs that changed; gives them, or null where everything has to be asked for again. */
  takeRuns(answer, summary) {
    if (this.revision === 0) this.runs.clear();
    if (!this.columns.length) this.name(summary);
    const changed = answer.runs.map((run) => this.takeRun(run));
    this.total = answer.total;
    this.revision = answer.revision;
    if (this.runs.size === answer.total) return changed;
    this.runs.clear();
    this.revision = 0;
    return null;
  }

  takeRun(told) {
    const run = {
      ...told, id: told.run, label: told.name, word: WORDS[told.phase], color: COLORS[told.phase] || told.phase,
      made: ms(told.made ?? told.began) ?? 0, begun: ms(told.began), heard: ms(told.heard),
      ended: ["active", "queued"].includes(told.phase) ? null : ms(told.heard),
    };
    this.runs.set(run.id, run);
    return run;
  }

  /** The columns: stage, metric, hyperparameters. */
  name(summary) {
    const add = (section, key, read, more = {}) => this.columns.push({ id: `${section}.${key}`, section, key, title: key, read, ...more });
    add("run", "stage", (run) => run.stage);
    add("summary", summary.metric, (run) => run.value, { isMetric: true });
    for (const one of summary.parameters) add("config", one.name, (run) => run.config[one.name]);
    add("run", "seed", (run) => run.seed);
    add("run", "rows", (run) => run.rows);
    add("run", "worker", (run) => run.worker);
    add("run", "note", (run) => run.error || run.note);
  }

  /** Every run, stage by stage, in the order in which they were made. */
  inOrder() {
    return [...this.runs.values()].sort((a, b) => a.stage - b.stage || a.made - b.made || (a.label < b.label ? -1 : 1));
  }
}

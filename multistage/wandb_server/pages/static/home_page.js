// The front page: multi-stage sweeps and projects, those that were heard last first.

import { element, find, formatAge, formatNumber } from "./format.js";
import { follow } from "./feed.js";

const COLORS = { running: "is-running", completed: "is-finished", failed: "is-failed", stopped: "is-stopped" };

follow("/-/changes", ({ projects, sweeps, now }) => {
  find("#sweeps").hidden = !sweeps.length;
  find("#sweeps tbody").replaceChildren(...sweeps.map((sweep) => element("tr", {},
    element("td", {}, element("a", { href: `/-/sweeps/${encodeURIComponent(sweep.uid)}` }, sweep.name)),
    element("td", { class: `state ${COLORS[sweep.status]}` }, element("span", {}, sweep.status)),
    element("td", { class: "number" }, `${sweep.used} of ${sweep.budget}`),
    element("td", { class: "number", title: sweep.metric }, formatNumber(sweep.leader)),
    element("td", {}, formatAge(sweep.heard, now)))));
  find("#empty").hidden = projects.length > 0;
  find("#projects").hidden = !projects.length;
  find("#projects tbody").replaceChildren(...projects.map((project) => element("tr", {},
    element("td", {}, element("a", { href: project.path }, project.name)),
    element("td", { class: "number" }, String(project.runs)),
    element("td", { class: "number" }, project.live ? element("b", { class: "is-running" }, String(project.live)) : "0"),
    element("td", { class: "number" }, String(project.sweeps)),
    element("td", {}, formatAge(project.heard, now)))));
  return { query: {}, wait: 5000 };
});

// The front page: every project, the one that was heard last first.

import { element, find, formatAge } from "./format.js";
import { follow } from "./feed.js";

follow("/-/changes", ({ projects, now }) => {
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

// Logged images, videos and sounds: each key with a slider over its steps.

import { element, find } from "./format.js";

const figures = new Map();

/** Show what was logged: `media` maps a key to its steps, and those to lists of `{kind, caption, url}`. */
export function showMedia(part, media) {
  part.hidden = false;
  for (const [key, steps] of [...media].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!figures.has(key)) {
      figures.set(key, new Strip(key));
      find("#media", part).append(figures.get(key).root);
    }
    figures.get(key).take(steps);
  }
}

class Strip {
  constructor(key) {
    this.key = key;
    this.holder = element("div", {});
    this.caption = element("figcaption", {});
    this.slider = element("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": `step of ${key}`, oninput: () => this.show() });
    this.root = element("figure", { "data-media": key }, this.caption, this.holder, this.slider);
    this.steps = [];
  }

  take(steps) {
    const atEnd = !this.steps.length || Number(this.slider.value) === this.steps.length - 1;
    this.steps = [...steps].sort(([a], [b]) => a - b);
    this.slider.max = this.steps.length - 1;
    this.slider.hidden = this.steps.length < 2;
    if (atEnd) this.slider.value = this.steps.length - 1;
    this.show();
  }

  show() {
    const [step, shown] = this.steps[Number(this.slider.value)];
    const known = shown.map((one) => one.url).join();
    this.caption.textContent = `${this.key} · step ${step}${shown.length > 1 ? ` · ${shown.length}` : ""}`;
    if (this.known === known) return;
    this.known = known;
    this.holder.replaceChildren(...shown.flatMap((one) => [draw(one), one.caption ? element("p", { class: "quiet" }, one.caption) : null]).filter(Boolean));
  }
}

function draw({ kind, caption, url }) {
  switch (kind) {
    case "video": return element("video", { src: url, controls: true, muted: true, loop: true, playsinline: true });
    case "audio": return element("audio", { src: url, controls: true });
    default: return element("img", { src: url, alt: caption || "", onload: ({ target }) => target.classList.toggle("tiny", target.naturalWidth < 200) });
  }
}

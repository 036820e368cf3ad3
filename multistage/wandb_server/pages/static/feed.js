// What happened since the last look, asked for again and again while somebody looks.

import { find, tell } from "./format.js";

const EVERY = 2000;
const SLOWEST = 30000;

/**
 * Follow an address: `read` gets each answer and gives the query of the next question, and how many ms to wait for it
 * at least (0: the usual time). A hidden page asks nothing. Where the server is away, the page says so and goes on.
 */
export function follow(path, read) {
  const sign = find("#live");
  let query = {};
  let failures = 0;
  let timer = null;
  let asking = false;

  async function ask() {
    if (document.hidden || asking) return;
    asking = true;
    let wait = EVERY;
    try {
      const answer = await fetch(`${path}?${new URLSearchParams(query)}`, { headers: { Accept: "application/json" } });
      if (answer.status === 401) {
        sign.dataset.is = "lost";
        sign.replaceChildren(Object.assign(document.createElement("a"), { href: location.pathname, textContent: "log in again" }));
        return;
      }
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      const next = read(await answer.json());
      query = next.query;
      wait = Math.max(EVERY, next.wait || 0);
      failures = 0;
      sign.dataset.is = next.done ? "done" : "live";
      tell(sign, next.done ? "ended" : "live");
    } catch (error) {
      failures += 1;
      wait = Math.min(SLOWEST, EVERY * 2 ** failures);
      sign.dataset.is = "lost";
      tell(sign, "no answer, trying again");
      if (!(error instanceof TypeError) && failures === 1) console.warn(error);
    } finally {
      asking = false;
    }
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  }

  document.addEventListener("visibilitychange", ask);
  ask();
}

/** Call `draw` once before the next frame, however often it is asked for. */
export function eventually(draw) {
  let planned = false;
  return () => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      draw();
    });
  };
}

/** Draw what can be seen, or is about to be; what lies far below waits until somebody comes there. */
export function whenSeen(target, draw) {
  let [seen, stale] = [false, false];
  new IntersectionObserver((entries) => {
    seen = entries[entries.length - 1].isIntersecting;
    if (!seen || !stale) return;
    stale = false;
    draw();
  }, { rootMargin: "60% 0px" }).observe(target);
  return () => {
    stale = !seen;
    if (seen) draw();
  };
}

/** An element that tells of each change of its width. */
export function onResize(target, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    draw();
  }).observe(target);
}

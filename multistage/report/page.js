"use strict";
// Draws each figure when it comes into view, in the colours of the page's scheme.
const book = JSON.parse(document.getElementById("book").textContent);
const root = document.documentElement;
const coarse = matchMedia("(pointer: coarse)").matches;
const drawn = new Set();

const fill = (value, looks) => {
  if (typeof value === "string")
    return value.startsWith("var(") ? looks.getPropertyValue(value.slice(4, -1)).trim() : value;
  if (Array.isArray(value)) return value.map((one) => fill(one, looks));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(one, looks)]));
  return value;
};

const describe = (number) => {
  const [name, value, ...values] = book.runs[number];
  return `<b>${value}</b>  ${name}<br>` + values.map((one, place) => `${book.names[place]}: ${one}`).join("<br>");
};

const draw = (place) => {
  const figure = fill(book.figures[place.id], getComputedStyle(root));
  for (const trace of figure.data) {
    if (trace.meta === "runs") trace.text = trace.customdata.map(describe);
    if (trace.type === "parcoords" && !document.createElement("canvas").getContext("webgl")) {
      place.textContent = "This figure needs WebGL, which this browser lacks.";
      return;
    }
  }
  // On a touch screen a finger that crosses a figure scrolls the page.
  if (coarse) figure.layout.dragmode = false;
  if (root.classList.contains("paper")) figure.layout.width = place.clientWidth;
  drawn.add(place);
  Plotly.react(place, figure.data, figure.layout, {
    responsive: true, displayModeBar: false, showTips: false, doubleClick: "reset",
  });
};

const places = [...document.querySelectorAll(".plot")];
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries)
    if (isIntersecting) { watcher.unobserve(target); draw(target); }
}, { rootMargin: "600px" });
places.forEach((place) => watcher.observe(place));

const redraw = () => drawn.forEach(draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", () => { root.classList.add("paper"); places.forEach(draw); });
addEventListener("afterprint", () => { root.classList.remove("paper"); redraw(); drawn.forEach(Plotly.Plots.resize); });

for (const button of document.querySelectorAll("[data-copy]"))
  button.addEventListener("click", async () => {
    const text = button.nextElementSibling;
    getSelection().selectAllChildren(text);
    try { await navigator.clipboard.writeText(text.textContent); } catch { document.execCommand("copy"); }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

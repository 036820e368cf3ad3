"""The pages' own drawing beside Plotly's, of the same runs in the same Chromium: prints figures, asserts nothing.

    python benchmarks/drawing.py [--runs 1000] [--repeats 5] [--shots FOLDER]

Both draw all runs in order with the best so far, and ten curves; then every config as parallel coordinates, too, which
Plotly draws by WebGL alone: without a graphics card that is its software. Measured for a desktop and for a phone, whose
processor is four times as slow:

1. From the click on a link until the figures stand there: with nothing kept by the browser, and with the script kept.
2. An update: a tenth of the runs has changed.
3. What the page's script weighs, and whether it runs under the pages' content security policy.

In brackets: the processor time of the page's own thread, in which whatever else the machine does has no part.
"""

import argparse
import gzip
import json
import math
import random
import statistics
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from multistage.wandb_server.pages.door import HEADERS, load_assets
from tests.browser import CHROMEDRIVER, CHROMIUM, DESKTOP, OPTIONS, PHONE, Browser

NAMES = ("lr", "clip", "batch", "layers", "lambda", "entropy")
PAGE = """<!doctype html><html lang=en><meta name=viewport content="width=device-width"><link rel=icon href=/icon.svg>
<link rel=stylesheet href=/pages.css>{library}
<main><section><figure id=values class=plot></figure></section>
<section><figure id=parallel class=plot></figure></section>
<section><figure id=curves class=plot></figure></section></main><script type=module src=/{script}></script>"""
COMMON = """
const {runs, curves, names} = await (await fetch("/runs.json")).json();
const flat = location.search.includes("flat");
const frame = () => new Promise(requestAnimationFrame);
const settle = async () => { await frame(); await frame(); return performance.now(); };
window.change = async () => {
  for (let index = 0; index < runs.length; index += 10) runs[index].value += 0.5;
  for (const curve of curves) { curve.values.push(curve.values.at(-1) + 0.1); curve.steps.push(curve.steps.length); }
  const began = performance.now();
  await draw();
  return await settle() - began;
};
await draw();
window.drawn = await settle();
"""
OWN = (
    """
import { COLORS, drawCurves, drawValues } from "/charts.js";
import { Parallel } from "/parallel.js";
const find = (id) => document.getElementById(id);
const parallel = new Parallel(find("parallel"), {changed() {}, light() {}});
async function draw() {
  const points = runs.map((run) => ({...run, color: "finished", counts: true}));
  drawValues(find("values"), points, {goal: "maximize", light() {}});
  const axes = names.map((name, place) => ({name, read: (run) => run.config[place], scale: "linear"}));
  axes.push({name: "reward", read: (run) => run.value, scale: "linear", worse: "low"});
  if (!flat) parallel.draw(runs, axes, "maximize");
  drawCurves(find("curves"), curves.map((curve, place) => ({...curve, color: COLORS[place]})));
}
"""
    + COMMON
)
PLOTLY = """
const plain = {margin: {l: 44, r: 10, t: 8, b: 30}, showlegend: false, height: 280};
const config = {displayModeBar: false, responsive: true};
const put = (id, traces, more) => Plotly.react(id, traces, {...plain, ...more}, config);
async function draw() {
  let best = -Infinity;
  const bests = runs.map((run) => (best = Math.max(best, run.value)));
  const places = runs.map((_, place) => place + 1);
  const texts = runs.map((run) => run.label);
  await put("values", [
    {type: "scatter", mode: "markers", x: places, y: runs.map((run) => run.value), text: texts, marker: {size: 5}},
    {type: "scatter", mode: "lines", x: places, y: bests, line: {shape: "hv"}}]);
  const reward = runs.map((run) => run.value);
  if (!flat) await put("parallel", [{type: "parcoords", line: {color: reward, colorscale: "Blues"}, dimensions: [
    ...names.map((name, place) => ({label: name, values: runs.map((run) => run.config[place])})),
    {label: "reward", values: reward}]}], {margin: {l: 44, r: 40, t: 40, b: 20}});
  const line = {type: "scatter", mode: "lines"};
  await put("curves", curves.map((curve) => ({...line, x: curve.steps, y: curve.values, name: curve.label})));
}
""" + COMMON  # fmt: skip
Report = Callable[[str, str], None]


def make_runs(count: int) -> dict[str, Any]:
    """Runs that get better, and the curves of ten of them."""
    chance = random.Random(0)
    runs = [
        {
            "id": f"r{place}", "label": f"s1-{place:04d}", "href": "#",
            "config": [chance.random() for _ in NAMES],
            "value": 100 * (1 - math.exp(-3 * place / count)) + chance.gauss(0, 5),
        }
        for place in range(count)
    ]  # fmt: skip
    steps = list(range(800))
    curves = [
        {"id": f"r{place}", "label": f"s1-{place:04d}", "steps": steps, "times": steps,
         "values": [100 * (1 - math.exp(-step / 200)) + chance.gauss(0, 2) for step in steps]}
        for place in range(10)
    ]  # fmt: skip
    return {"runs": runs, "curves": curves, "names": NAMES}


class Stage:
    """A server of two pages that draw the same.

    Args:
        runs: How many.
        ends: Closes it.
    """

    def __init__(self, runs: int, ends: ExitStack) -> None:
        assets = load_assets()
        own = {name: assets[name] for name in ("charts.js", "parallel.js", "format.js", "scales.js")}
        self.files: dict[str, bytes] = {
            **assets,
            "runs.json": json.dumps(make_runs(runs)).encode(),
            "own.js": OWN.encode(),
            "plotly_page.js": PLOTLY.encode(),
            "plotly.min.js": get_plotlyjs().encode(),
            "own": PAGE.format(library="", script="own.js").encode(),
            "plotly": PAGE.format(library="<script src=/plotly.min.js></script>", script="plotly_page.js").encode(),
        }
        self.weights = {
            "own": len(gzip.compress(b"".join(own.values()))),
            "plotly": len(gzip.compress(self.files["plotly.min.js"])),
        }
        packed = {name: gzip.compress(content, compresslevel=6) for name, content in self.files.items()}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name, _, query = self.path.lstrip("/").partition("?")
                self.send_response(200 if name in packed else 404)
                kind = (
                    "image/svg+xml"
                    if name.endswith("svg")
                    else "text/css"
                    if name.endswith("css")
                    else "text/javascript"
                    if name.endswith("js")
                    else "text/html"
                )
                self.send_header("Content-Type", kind)
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Cache-Control", "max-age=3600" if "." in name and "json" not in name else "no-store")
                if "strict" in query:
                    self.send_header("Content-Security-Policy", HEADERS["Content-Security-Policy"])
                self.end_headers()
                self.wfile.write(packed.get(name, gzip.compress(b"")))

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ends.callback(server.server_close)
        ends.callback(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"


def wait_drawn(browser: Browser) -> float:
    """Milliseconds from the navigation's start until the figures stood there."""
    found: float = browser.wait(lambda: browser.run("return window.drawn"), 120)
    return found


def measure(browser: Browser, stage: Stage, kind: str, size: tuple[int, int], slower: int, repeats: int) -> str:
    """Time one kind of drawing in one window."""
    send = browser.driver.execute_cdp_cmd
    send("Emulation.setCPUThrottlingRate", {"rate": slower})
    browser.measure_work()
    times: dict[str, list[tuple[float, float]]] = {"cold": [], "warm": [], "update": []}
    for _ in range(repeats):
        send("Network.clearBrowserCache", {})
        for name in ("cold", "warm"):
            browser.open("about:blank", size)
            browser.open(f"{stage.url}/{kind}", size)
            times[name].append((wait_drawn(browser), browser.measure_work()))
        before = browser.measure_work()
        change = "const done = arguments[0]; window.change().then(done)"
        taken = browser.driver.execute_async_script(change)
        times["update"].append((taken, browser.measure_work() - before))
    send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return ", ".join(
        f"{name} {statistics.median(one[0] for one in taken):.0f} ms ({statistics.median(one[1] for one in taken):.0f})"
        for name, taken in times.items()
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shots", type=Path, help="folder for pictures of what was drawn")
    asked = parser.parse_args()
    if CHROMIUM is None or CHROMEDRIVER is None:
        parser.error("there is no Chromium with its chromedriver here")
    with ExitStack() as ends:
        stage = Stage(asked.runs, ends)
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        folder = ends.enter_context(tempfile.TemporaryDirectory())
        for option in (*OPTIONS, "--enable-unsafe-swiftshader", f"--user-data-dir={folder}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
        ends.callback(driver.quit)
        driver.set_script_timeout(120)
        browser = Browser(driver)
        for kind in ("own?flat", "plotly?flat", "own?", "plotly?"):
            name, _, flat = kind.partition("?")
            figures = "two figures" if flat else "three figures"
            print(f"{name}, {figures}: {stage.weights[name] / 1000:.0f} kB of script, compressed", flush=True)
            repeats = asked.repeats if flat or name == "own" else 1
            for place, size, slower in (("desktop", DESKTOP, 1), ("phone", PHONE, 4)):
                print(f"  {place}: {measure(browser, stage, kind, size, slower, repeats)}", flush=True)
                if asked.shots:
                    asked.shots.mkdir(parents=True, exist_ok=True)
                    for dark in (False, True):
                        browser.open(f"{stage.url}/{kind}", size, dark=dark)
                        wait_drawn(browser)
                        browser.screenshot(asked.shots / f"{name}{flat}_{place}_{'dark' if dark else 'light'}.png")
            browser.open(f"{stage.url}/{kind}&strict")
            drawn = browser.wait(lambda: browser.run("return window.drawn") or browser.errors(), 60)
            refused = browser.errors() if isinstance(drawn, float) else drawn
            example = f", such as {refused[0][:200]}" if refused else ""
            print(f"  under the pages' policy: {len(refused)} refusals{example}")


if __name__ == "__main__":
    main()

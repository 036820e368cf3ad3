"""A report of very many runs: prints figures, asserts nothing.

    python benchmarks/report.py [--runs 5000] [--rows 200] [--parameters 6]

1. Runs of one sweep with their rows, read from an embedded server of its own and written as a page.
2. A whole sweep over more parameters, made in memory: its page, beside plotly's script, and the memory that all took.
3. Where there is a Chromium: until its first figure is drawn, and until all are.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from plotly.offline import get_plotlyjs
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from server import fill
from server_load import Server

from multistage.domain.space.parameters import FloatParameter, IntParameter
from multistage.domain.sweep.state import StageProgress
from multistage.report.collection import collect_report
from multistage.report.page import build_report
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.connection import Connection
from tests.browser import CHROMEDRIVER, CHROMIUM, OPTIONS, Browser
from tests.report.sweeps import make_state, make_whole

Report = Callable[[str, str], None]
DRAW_ALL = """const done = arguments[0], at = performance.now();
places.forEach(draw);
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - at)));"""


def measure_reading(folder: Path, runs: int, rows: int, report: Report, ends: ExitStack) -> None:
    """Read a sweep from a server, and write its page."""
    fill(folder / "stored", runs, rows)
    server = Server(folder / "stored")
    ends.callback(server.stop)
    os.environ.update(server.environment(folder))
    parameters = (FloatParameter(name="lr", low=0, high=1), IntParameter(name="layers", low=0, high=4))
    now = StageProgress(stage=1, sweep_id="sweep000", runs=runs, used=runs, started_at=datetime.now(UTC))
    state = make_state(parameters, "score", runs, project="stored", current_stage=now, tracker_url=server.url)
    connection = Connection(server.url, server.key, "local", "stored")
    began, spent = time.perf_counter(), time.process_time()
    data = collect_report(connection, state, SweepFolder(folder))
    read = time.perf_counter() - began
    page = build_report(data)
    taken = time.perf_counter() - began
    spent = time.process_time() - spent
    report(
        "read and written",
        f"{taken:.1f} s ({spent:.1f} of a core), of it {read:.1f} s reading; {len(data.runs)} runs, {measure(page)}",
    )


def measure(page: str) -> str:
    """A page's size beside plotly's script."""
    return f"{(len(page.encode()) - len(get_plotlyjs().encode())) / 1e6:.2f} MB beside plotly's script"


def measure_writing(file: Path, runs: int, rows: int, parameters: int, report: Report) -> None:
    """Write the page of a whole sweep."""
    data = make_whole([FloatParameter(name=f"p{number}", low=0, high=1) for number in range(parameters)], runs, rows)
    began, spent = time.perf_counter(), time.process_time()
    page = build_report(data)
    taken, spent = time.perf_counter() - began, time.process_time() - spent
    report(f"written, {parameters} parameters", f"{taken:.1f} s ({spent:.1f} of a core), {measure(page)}")
    file.write_text(page, encoding="utf-8")


def measure_browser(url: str, folder: Path, report: Report) -> None:
    """What a person waits for."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        report("drawn in Chromium", "there is none here")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    driver.set_script_timeout(120)
    try:
        browser = Browser(driver)
        first, whole = [], []
        for _ in range(5):
            began = time.perf_counter()
            browser.open(url)
            browser.wait(lambda: browser.find("#history-plot .main-svg"))
            first.append((time.perf_counter() - began) * 1000)
            whole.append(float(driver.execute_async_script(DRAW_ALL)))
        report("first figure in Chromium", f"{statistics.median(first):.0f} ms, worst {max(first):.0f}")
        report("all figures drawn at once", f"{statistics.median(whole):.0f} ms more, worst {max(whole):.0f}")
    finally:
        driver.quit()


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5_000)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--parameters", type=int, default=6)
    arguments = parser.parse_args()

    def report(what: str, figure: str) -> None:
        print(f"{what:<40} {figure}", flush=True)

    with tempfile.TemporaryDirectory() as name, ExitStack() as ends:
        folder = Path(name)
        report("runs", f"{arguments.runs} of {arguments.rows} rows")
        measure_reading(folder, arguments.runs, arguments.rows, report, ends)
        measure_writing(folder / "report.html", arguments.runs, arguments.rows, arguments.parameters, report)
        report("memory at most", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
        measure_browser((folder / "report.html").as_uri(), folder / "chromium", report)


if __name__ == "__main__":
    main()

"""The embedded server's pages at many runs: prints figures, asserts nothing.

    python benchmarks/pages.py [--runs 5000] [--rows 200] [--long 50000]

1. The sweep's page and its data, and a refresh: by what changed, and when nothing did.
2. The page of a run with very many rows.
3. Where there is a Chromium: from a click on the link until the table and the plots are drawn.
"""

import argparse
import asyncio
import gzip
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from server import fill
from server_load import Client, Server

from multistage.wandb_server.pages.login_links import make_login_link, make_token, name_cookie
from multistage.wandb_server.store import Store, dump_json
from tests.browser import CHROMEDRIVER, CHROMIUM, OPTIONS, Browser

SWEEP = "/local/stored/sweeps/sweep000"
SORT = """const at = performance.now();
document.querySelector("[data-column=took] button").click();
return performance.now() - at;"""
Report = Callable[[str, str], None]


class Visitor:
    """A browser's connection.

    Args:
        server: Which server.
    """

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        token = make_token(server.key, "session", 3600)
        self._headers = {"Cookie": f"{name_cookie(server.key)}={token}", "Accept-Encoding": "gzip"}

    def get(self, path: str) -> tuple[bytes, int]:
        """The content of an address, and how many bytes came."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return (gzip.decompress(body) if answer.headers["content-encoding"] == "gzip" else body), len(body)

    def measure(self, report: Report, what: str, path: str, goal: str = "", times: int = 11) -> None:
        """Report the median time of an address, and its size."""
        taken = []
        for _ in range(times):
            started = time.perf_counter()
            content, size = self.get(path)
            taken.append((time.perf_counter() - started) * 1000)
        sizes = (
            f"{size / 1000:.1f} kB" if size == len(content) else f"{len(content) / 1000:.0f} kB, {size / 1000:.0f} sent"
        )
        report(what, f"{statistics.median(taken):.1f} ms, worst {max(taken):.1f}{goal}; {sizes}")


def add_long_run(folder: Path, rows: int) -> None:
    """One more run, of very many rows."""
    store = Store(folder / "wandb.sqlite")
    with store.transaction():
        now = store.tick()
        project = store.value("SELECT id FROM projects")
        run = store.insert(
            "runs", project_id=project, name="long", state="finished", created_at=now, started_at=now, heartbeat_at=now,
            ended_at=now,
        )  # fmt: skip
        store.connection.executemany(
            "INSERT INTO lines VALUES (?, 0, ?, ?, ?)",
            ((run, step, step, dump_json({f"m{key}": step * key for key in range(10)})) for step in range(rows)),
        )
    store.close()


async def change_runs(server: Server, count: int) -> None:
    """Runs that report, as so many workers' do."""
    client = Client(server.port, server.key)
    for index in range(count):
        await client.ask(
            'mutation M($n: String) {upsertBucket(input: {modelName: "stored", name: $n, summaryMetrics: "{}"}) '
            "{bucket {id}}}",
            n=f"r{index}",
        )


def measure_server(server: Server, visitor: Visitor, report: Report) -> None:
    """What the server answers, and how fast."""
    visitor.measure(report, "the sweep's page", SWEEP, " (goal, with its data: under 300)")
    visitor.measure(report, "its data, whole", f"{SWEEP}/changes")
    revision = json.loads(visitor.get(f"{SWEEP}/changes")[0])["runs"]["revision"]
    visitor.measure(report, "a refresh, nothing changed", f"{SWEEP}/changes?since={revision}")
    asyncio.run(change_runs(server, 8))
    visitor.measure(report, "a refresh, 8 runs changed", f"{SWEEP}/changes?since={revision}")
    runs = "&".join(f"run=r{index}" for index in range(10))
    visitor.measure(report, "curves of 10 runs", f"/local/stored/curves?metric=score&{runs}")
    visitor.measure(report, "a run's data", "/local/stored/runs/r9/changes")
    visitor.measure(report, "the project's data, whole", "/local/stored/changes")
    visitor.measure(report, "the data of the run with many rows", "/local/stored/runs/long/changes", times=3)


def measure_browser(server: Server, report: Report, folder: Path) -> None:
    """What a person waits for."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        report("drawn in Chromium", "there is none here")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    try:
        browser = Browser(driver)
        browser.open(make_login_link(server.url, server.key))
        taken = []
        for _ in range(5):
            started = time.perf_counter()
            browser.open(server.url + SWEEP)
            browser.wait(lambda: browser.find("#parallel .strand") and browser.find("#runs tbody tr[data-run]"))
            taken.append((time.perf_counter() - started) * 1000)
        report("drawn in Chromium", f"{statistics.median(taken):.0f} ms, worst {max(taken):.0f}")
        report("sorted in Chromium", f"{statistics.median(browser.run(SORT) for _ in range(5)):.0f} ms")
    finally:
        driver.quit()


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5_000)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--long", type=int, default=50_000, help="rows of the long run")
    arguments = parser.parse_args()

    def report(what: str, figure: str) -> None:
        print(f"{what:<40} {figure}", flush=True)

    with tempfile.TemporaryDirectory() as name, ExitStack() as ends:
        folder = Path(name) / "stored"
        fill(folder, arguments.runs, arguments.rows)
        add_long_run(folder, arguments.long)
        report("stored", f"{arguments.runs} runs x {arguments.rows} rows, one run of {arguments.long}")
        server = Server(folder)
        ends.callback(server.stop)
        measure_server(server, Visitor(server), report)
        measure_browser(server, report, Path(name) / "chromium")
        report("the server's memory", f"{server.measure_memory():.0f} MB")


if __name__ == "__main__":
    main()

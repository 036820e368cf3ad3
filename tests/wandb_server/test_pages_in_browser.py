"""The pages as people see them, in Chromium: drawn, sorted, filtered, following what happens, on a phone too."""

import base64
import json
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from multistage.wandb_server.pages.login_links import make_login_link
from tests.browser import PHONE, Browser
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

METRIC = "train/reward"
EVIL = "<img src=x onerror=alert(1)>\n</script>"
PARAMETERS = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
    "layers": {"distribution": "int_uniform", "min": 1, "max": 4},
    "act": {"values": ["relu", "tanh"]},
}
CREATE_AGENT = """mutation M($s: String!, $p: String!) {
  createAgent(input: {host: "worker<b>1</b>", projectName: $p, sweep: $s}) {agent {id}}
}"""
ROWS = "#runs tbody tr[data-run]"


@pytest.fixture(scope="module")
def session(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server) as session:
        yield session


@pytest.fixture
def visitor(browser: Browser, wandb_server: ServerProcess) -> Browser:
    """A browser that is logged in."""
    browser.open(make_login_link(wandb_server.url, wandb_server.key))
    assert browser.driver.current_url == f"{wandb_server.url}/"
    return browser


class Sweep:
    """A sweep of a project of its own."""

    def __init__(self, session: Session, server: ServerProcess, project: str, **changes: Any) -> None:
        self.session = session
        self.project = project
        config = {
            "name": "night stage 2 (abc123)",
            "method": "custom",
            "scheduler": {"engine": "none", "runs": 40},
            "metric": {"name": METRIC, "goal": "maximize"},
            "parameters": PARAMETERS,
            **changes,
        }
        self.node = session.make_sweep(project, yaml.safe_dump(config, sort_keys=False))
        self.name = base64.b64decode(self.node).decode().split(":")[2]
        self.base = f"{server.url}/local/{project}"
        self.url = f"{self.base}/sweeps/{self.name}"

    def run(self, index: int, value: Any, end: int | None = 0, rows: int = 20, **values: Any) -> str:
        """A run that ended, or goes on where there is no end."""
        name = f"{self.name}-{index}"
        config = {"lr": 10 ** -(1 + index % 5), "layers": index % 4 + 1, "act": "relu" if index % 2 else "tanh"}
        wrapped = json.dumps({key: {"value": one} for key, one in config.items()})
        self.session.start_run(
            self.project, name, **{"sweep": self.name, "displayName": f"s2-{index:04d}", "config": wrapped, **values}
        )
        if value is not None:
            grown = [value * (1 - math.exp(-row / 5)) if isinstance(value, float) else value for row in range(rows)]
            self.session.log(self.project, name, 0, *({METRIC: one, "_runtime": at} for at, one in enumerate(grown)))
            summary = {"offset": 0, "content": [json.dumps({METRIC: value, "_step": rows})]}
            self.session.report(self.project, name, files={"wandb-summary.json": summary})
        if end is not None:
            self.session.report(self.project, name, complete=True, exitcode=end)
        return name

    def stop(self, name: str) -> None:
        """Ask a run to stop."""
        found = self.session.ask(
            "query Q($p: String, $r: String!) {project(name: $p) {run(name: $r) {id}}}", p=self.project, r=name
        )
        self.session.ask("mutation M($i: ID!) {stopRun(input: {id: $i}) {success}}", i=found["project"]["run"]["id"])


def is_quiet(browser: Browser) -> bool:
    """Whether the page fits its window, and the console was silent."""
    assert browser.errors() == []
    assert browser.overflow() <= 0
    return True


def wait_for_rows(browser: Browser, count: int) -> list[str]:
    """The names of the runs that the table shows, once there are so many."""
    browser.wait(lambda: len(browser.find(ROWS)) == count)
    return browser.read(f"{ROWS} > :first-child")


def make_png(width: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([200, 80, 40]) * width for _ in range(width))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("phone", [False, True])
def test_a_sweep_is_drawn_sorted_and_filtered(
    visitor: Browser, session: Session, wandb_server: ServerProcess, phone: bool
) -> None:
    sweep = Sweep(session, wandb_server, f"drawn{phone:d}", early_terminate={"type": "hyperband", "min_iter": 500})
    stage1 = Sweep(session, wandb_server, sweep.project, name="night stage 1 (abc123)")
    for index in range(12):
        sweep.run(index, float(index))
    sweep.run(12, 50.0, end=1)
    stopped = sweep.run(13, 3.0, end=None)
    sweep.stop(stopped)
    session.report(sweep.project, stopped, complete=True, exitcode=255)
    visitor.open(sweep.url, PHONE if phone else (1280, 900), dark=phone)

    names = wait_for_rows(visitor, 14)
    assert names[:3] == ["s2-0012", "s2-0011", "s2-0010"]  # the best first
    assert visitor.read("h1") == ["night"]
    facts = dict(zip(visitor.read("#facts dt"), visitor.read("#facts dd"), strict=True))
    assert facts[f"best {METRIC}"] == "11"  # what failed is not the best
    assert (facts["runs done"], facts["failed"], facts["stopped early"]) == ("14 of 40", "1", "1")
    assert [link.get_attribute("href") for link in visitor.find("#stages a")] == [stage1.url, sweep.url]
    visitor.wait(lambda: len(visitor.find("#curves .curve")) == 10)
    visitor.wait(lambda: len(visitor.find("#values .dots")) == 3)  # a path a colour
    axes = "return [...document.querySelectorAll('#parallel [data-axis]')].map(axis => axis.dataset.axis)"
    assert visitor.run(axes) == ["lr", "layers", "act", METRIC]
    assert visitor.find("#parallel .strand")

    visitor.find("[data-column='config.lr'] button")[0].click()
    first = visitor.read(f"{ROWS}:first-child")[0]
    assert "0.1" in first
    visitor.find("[data-column='config.lr'] button")[0].click()
    assert "1e-5" in visitor.read(f"{ROWS}:first-child")[0]
    visitor.find("#filter")[0].send_keys("lr>=1e-3 act=relu")
    assert sorted(wait_for_rows(visitor, 4)) == ["s2-0001", "s2-0005", "s2-0007", "s2-0011"]
    visitor.find("#filter")[0].clear()
    visitor.find("#filter")[0].send_keys("nothing<3")
    assert "nothing" in visitor.wait(lambda: visitor.read("#told")[0])
    visitor.driver.refresh()  # the page's address remembers the filter
    visitor.wait(lambda: visitor.find("#filter")[0].get_property("value") == "nothing<3")
    visitor.find("#filter")[0].clear()
    visitor.find("[data-state=failed]")[0].click() if visitor.wait(
        lambda: visitor.find("[data-state=failed]")
    ) else None
    assert wait_for_rows(visitor, 1) == ["s2-0012"]
    assert is_quiet(visitor)


def test_what_happens_appears_without_a_reload(visitor: Browser, session: Session, wandb_server: ServerProcess) -> None:
    sweep = Sweep(session, wandb_server, "live")
    sweep.run(0, 1.0)
    visitor.open(sweep.url)
    wait_for_rows(visitor, 1)
    visitor.run("window.untouched = true; window.asked = performance.getEntriesByType('resource').length")
    session.ask(CREATE_AGENT, s=sweep.name, p=sweep.project)
    live = sweep.run(1, 5.0, end=None)
    visitor.wait(lambda: wait_for_rows(visitor, 2) == ["s2-0001", "s2-0000"])
    visitor.wait(lambda: visitor.read("#agents tbody td:first-child") == ["worker<b>1</b>"])
    visitor.wait(lambda: len(visitor.find("#curves .curve")) == 2)
    session.report(sweep.project, live, complete=True, exitcode=0)
    visitor.wait(lambda: visitor.read("#runs tbody .state") == ["finished", "finished"])
    assert visitor.run("return window.untouched")
    sizes = visitor.run(
        "return performance.getEntriesByType('resource').slice(window.asked)"
        ".filter(entry => entry.name.includes('changes')).map(entry => entry.decodedBodySize)"
    )
    assert max(sizes) < 3000
    assert is_quiet(visitor)


def test_dragging_along_an_axis_chooses_runs(visitor: Browser, session: Session, wandb_server: ServerProcess) -> None:
    sweep = Sweep(session, wandb_server, "brush")
    for index in range(8):
        sweep.run(index, float(index))
    visitor.open(sweep.url, (1280, 1400))
    wait_for_rows(visitor, 8)
    drag = """const grip = document.querySelector(`[data-axis="${arguments[0]}"] .grip`);
        const box = grip.getBoundingClientRect();
        grip.setPointerCapture = () => {};
        const send = (kind, at) => grip.dispatchEvent(new PointerEvent(kind, {
            pointerId: 1, clientX: box.left + 5, clientY: box.top + at * box.height, bubbles: true}));
        send("pointerdown", arguments[1]); send("pointermove", arguments[2]); send("pointerup", arguments[2]);"""
    visitor.wait(lambda: visitor.find("#parallel .grip"))
    visitor.run(drag, METRIC, 0.0, 0.5)
    assert wait_for_rows(visitor, 4) == ["s2-0007", "s2-0006", "s2-0005", "s2-0004"]
    visitor.run(drag, METRIC, 0.3, 0.3)
    wait_for_rows(visitor, 8)
    assert is_quiet(visitor)


@pytest.mark.parametrize("kind", ["empty", "failed", "nan", "evil", "unknown metric"])
def test_odd_sweeps_open_and_say_so(visitor: Browser, session: Session, wandb_server: ServerProcess, kind: str) -> None:
    sweep = Sweep(session, wandb_server, f"odd-{kind.replace(' ', '-')}", **(
        {"name": EVIL, "metric": {"name": EVIL, "goal": "minimize"}, "parameters": {EVIL: {"values": [EVIL, "b"]}}}
        if kind == "evil" else {}
    ))  # fmt: skip
    match kind:
        case "failed":
            for index in range(3):
                sweep.run(index, None, end=1)
        case "nan":
            sweep.run(0, "NaN")
            sweep.run(1, "Infinity")
        case "evil":
            config = json.dumps({EVIL: {"value": EVIL}})
            sweep.run(0, 1.0, displayName=EVIL, config=config, host=EVIL)
        case "unknown metric":
            session.start_run(sweep.project, "other", sweep=sweep.name)
    for size in ((1280, 900), PHONE):
        visitor.open(sweep.url, size)
        visitor.wait(lambda: visitor.read("#live") == ["live"])
        wait_for_rows(visitor, {"empty": 0, "failed": 3, "nan": 2, "evil": 1, "unknown metric": 1}[kind])
        visitor.wait(lambda: visitor.read("#parallel") == ["No run has a value yet."])
        assert visitor.read("#values") == ["No run has a value yet."]
        assert is_quiet(visitor)
    if kind == "evil":
        assert visitor.read("h1") == [" ".join(EVIL.split())]
        assert visitor.read(f"{ROWS} > :first-child") == [" ".join(EVIL.split())]
    visitor.open(sweep.base, PHONE)
    visitor.wait(lambda: visitor.read("#live") == ["live"])
    assert is_quiet(visitor)


def test_a_run_shows_all_that_it_logged(visitor: Browser, session: Session, wandb_server: ServerProcess) -> None:
    sweep = Sweep(session, wandb_server, "whole")
    config = json.dumps({"act": {"value": "tanh"}, "seed": {"value": 1_234_567_890}})
    name = sweep.run(0, 2.0, end=None, config=config)
    output = [f"2026-01-01T00:00:00.000000 \x1b[32mline {number}\x1b[0m" for number in range(600)]
    output.append(f"ERROR 2026-01-01T00:00:00.000000 {EVIL.splitlines()[0]}")
    system = [json.dumps({"system.cpu": float(number), "_runtime": number}) for number in range(5)]
    session.report(
        sweep.project, name,
        files={"output.log": {"offset": 0, "content": output}, "wandb-events.jsonl": {"offset": 0, "content": system}},
    )  # fmt: skip
    image = {"_type": "image-file", "path": "media/a.png", "caption": EVIL}
    session.log(sweep.project, name, 20, {"frame": image, "loss": "NaN"}, {"loss": 0.5})
    for size in ((1280, 900), PHONE):
        visitor.open(f"{sweep.base}/runs/{name}", size)
        visitor.wait(lambda: visitor.read("#live") == ["live"])
        assert visitor.read("h1") == ["s2-0000"]
        assert sorted(box.get_attribute("data-metric") or "" for box in visitor.find("#curves [data-metric]")) == [
            "loss", METRIC
        ]  # fmt: skip
        assert visitor.find(f"[data-metric='{METRIC}'] .curve")
        shown = dict(zip(visitor.read("#config th"), visitor.read("#config td"), strict=True))
        assert shown == {"act": "tanh", "seed": "1234567890"}
        lines = visitor.read("#log")[0].splitlines()
        assert len(lines) == 500
        assert lines[-2] == "line 599"
        assert visitor.read("#log .stderr") == [EVIL.splitlines()[0]]
        visitor.find("#earlier")[0].click()
        visitor.wait(lambda: visitor.read("#log")[0].startswith("line 0\n"))
        assert len(visitor.read("#log")[0].splitlines()) == 601
        visitor.find("#system_part summary")[0].click()
        visitor.wait(lambda: visitor.find("[data-metric='system.cpu'] .curve"))
        assert is_quiet(visitor)
    # The image was announced; it is shown once it is there.
    assert not visitor.find("#media img")
    made = session.ask(
        "mutation M($p: String, $r: String!) {createRunFiles(input: {projectName: $p, runName: $r, "
        'files: ["media/a.png"]}) {files {uploadUrl}}}',
        p=sweep.project, r=name,
    )  # fmt: skip
    path = made["createRunFiles"]["files"][0]["uploadUrl"].removeprefix(wandb_server.url)
    assert session.send("PUT", path, make_png(40), {})[0] == 200
    visitor.wait(lambda: visitor.run("return document.querySelector('#media img')?.naturalWidth") == 40)
    assert visitor.read("#media p") == [" ".join(EVIL.split())]
    session.log(sweep.project, name, 22, {METRIC: 9.0})
    session.report(sweep.project, name, complete=True, exitcode=1)
    visitor.wait(lambda: visitor.read("#state") == ["failed"])
    assert visitor.read(f"[data-metric='{METRIC}'] b") == ["9"]
    assert is_quiet(visitor)


def test_a_session_that_ends_says_so(visitor: Browser, session: Session, wandb_server: ServerProcess) -> None:
    sweep = Sweep(session, wandb_server, "ending")
    visitor.open(sweep.url)
    visitor.wait(lambda: visitor.read("#live") == ["live"])
    visitor.driver.delete_all_cookies()
    visitor.wait(lambda: visitor.read("#live") == ["log in again"])
    visitor.find("#live a")[0].click()
    visitor.wait(lambda: visitor.find(".door input[type=password]"))
    visitor.find(".door input[type=password]")[0].send_keys(wandb_server.key)
    visitor.find(".door button")[0].click()
    visitor.wait(lambda: visitor.driver.current_url == sweep.url and visitor.read("#live") == ["live"])

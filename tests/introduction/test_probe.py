"""When the watching of a run ends; the server's answers are written down here, the worker is a process that waits."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multistage.domain.runs.slots import FAULT_KEY
from multistage.introduction import probe
from multistage.introduction.probe import Probe, ProbeResult
from multistage.introduction.usage import list_trainings
from multistage.wandb_client.seen_runs import SeenRun

WORKER = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
signal.signal(signal.SIGTERM, lambda *_: (child.kill(), sys.exit(0)))
time.sleep(60)
"""


class Answers:
    """What the server says, look by look; the last answer stays."""

    def __init__(self, *seen: SeenRun) -> None:
        self.left = list(seen)
        self.finished: list[str] = []

    def read(self, *_: Any) -> SeenRun:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def answer(state: str, *rows: dict[str, Any], **summary: Any) -> SeenRun:
    return SeenRun(state=state, config={"lr": 0.1}, rows=rows, logged=len(rows), summary=summary)


@pytest.fixture
def open_probe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    opened: list[Probe] = []

    def open_(answers: Answers, code: str = WORKER) -> Probe:
        connection: Any = None
        start = lambda *_: subprocess.Popen([sys.executable, "-c", code], start_new_session=True)  # noqa: E731
        monkeypatch.setattr(probe, "create_sweep", lambda *_: "sweep")
        monkeypatch.setattr(probe, "open_sweep", lambda *_: None)
        monkeypatch.setattr(probe, "enqueue_run", lambda *_: "run")
        monkeypatch.setattr(probe, "finish_sweep", lambda _, sweep: answers.finished.append(sweep))
        monkeypatch.setattr(probe, "read_run", answers.read)
        monkeypatch.setattr(Probe, "_start_worker", start)
        opened.append(Probe(connection, ["x"], "train.py", tmp_path, tmp_path))
        return opened[-1]

    yield open_
    for one in opened:
        one.end()


def never(_: ProbeResult) -> bool:
    return False


def test_it_is_watched_until_enough_is_known(open_probe: Any) -> None:
    answers = Answers(answer("pending"), answer("running"), answer("running", {"score": 1}, best=2))
    with open_probe(answers) as watched:
        seen = watched.watch(60, lambda result: bool(result.rows))
    assert (seen.rows, seen.logged, seen.reached) == (({"score": 1.0}, {"best": 2.0}), 1, True)
    assert (seen.ended, seen.whole, seen.failed) == (False, False, False)
    assert seen.seconds >= seen.startup > 0
    assert answers.finished == ["sweep"]


def test_its_time_begins_with_wandb_init(open_probe: Any) -> None:
    seen = open_probe(Answers(answer("pending"), answer("pending"), answer("pending"), answer("running"))).watch(
        1.5, never
    )
    assert seen.reached
    assert seen.seconds > seen.startup + 1.4
    assert not open_probe(Answers(answer("pending"))).watch(0.5, never).reached


def test_its_own_end_is_waited_for_no_longer(open_probe: Any) -> None:
    gone = "raise SystemExit(0)"
    done = open_probe(Answers(answer("finished", {"score": 1})), gone).watch(60, never)
    assert (done.ended, done.whole, done.failed) == (True, True, False)
    failed = open_probe(Answers(answer("failed", error="no", **{FAULT_KEY: "setup"})), gone).watch(60, never)
    assert (failed.ended, failed.whole, failed.failed, failed.setup_fault) == (True, False, True, "no")


def test_what_it_takes_of_the_machine_is_measured(open_probe: Any) -> None:
    seen = open_probe(Answers(answer("running"))).watch(60, lambda result: result.peak is not None)
    assert seen.peak > 1_000_000


def test_its_worker_and_all_below_end_with_the_block(open_probe: Any) -> None:
    watched = open_probe(Answers(answer("running")))
    watched.watch(60, lambda result: result.peak is not None)
    below = list_trainings(watched._worker.pid)
    watched.end()
    assert watched._worker.poll() is not None
    assert below
    assert [process for process in below if process.is_running() and process.status() != "zombie"] == []

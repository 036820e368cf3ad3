"""A sweep's page is told what happens, whatever becomes of the server; and by whom it is not told."""

import base64
import logging
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from multistage.cli.page_line import print_page
from multistage.domain.live.summary import LiveSummary
from multistage.domain.runs.slots import settle_slots
from multistage.domain.sweep.state import State
from multistage.driver import sweep_page
from multistage.driver.page_evidence import PageEvidence
from multistage.driver.sweep_page import PageKeeper, mark_ended
from multistage.errors import ServiceError
from multistage.services import ensure_wandb_server, stop_services
from multistage.services.sweep_pages import SweepPage, find_sweep_page, open_sweep_page
from multistage.settings import Settings
from multistage.store.journal import Journal
from multistage.store.sweep_folder import SweepFolder
from tests.domain.live.test_digest import in_stage, make_run

UID = "0badcafe"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    yield home
    stop_services(Settings(home=home))


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MULTISTAGE_HOME", str(home))
    monkeypatch.setattr(sweep_page, "HEARTBEAT", 0.5)
    monkeypatch.setattr(sweep_page, "SHORTEST", 0.05)
    return Settings()


@pytest.fixture
def journal(tmp_path: Path, settings: Settings) -> Journal:
    folder = SweepFolder(tmp_path / "runs" / "made")
    folder.path.mkdir(parents=True)
    folder.write_state(in_stage(1, used=1, running=1, queued=1))
    return Journal(folder)


@pytest.fixture
def keeper(journal: Journal) -> Iterator[PageKeeper]:
    made = PageKeeper(journal, PageEvidence(lambda _: None, lambda _: ""), "multistage-sweep --resume made")
    yield made
    made.close()


def read(settings: Settings) -> LiveSummary:
    page = open_sweep_page(settings, UID)
    wait_for(lambda: page.read() is not None)  # the keeper's first word takes its time on a busy machine
    found = page.read()
    assert found is not None
    return found


def wait_for(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_page_is_told_runs_workers_and_warnings(settings: Settings, journal: Journal, keeper: PageKeeper) -> None:
    address = keeper.open()
    assert address.endswith(f"/-/sweeps/{UID}")
    runs = [make_run(0, value=0.6), make_run(1, "active"), make_run(2, "queued", value=None, began_at=None)]
    keeper.see(1, settle_slots(runs), present=2)
    wait_for(lambda: len(read(settings).runs) == 3)
    told = read(settings)
    assert (told.status, told.used, told.present) == ("running", 1, 2)
    assert told.waits[0].why == "All 2 workers are busy with other runs."
    assert told.leader is not None
    assert told.leader.run == "run0"
    logging.getLogger("multistage.driver").warning("Worker %s is retired.", "w1")
    wait_for(lambda: read(settings).warnings == ("Worker w1 is retired.",))
    keeper.see_absence("It is down.")
    wait_for(lambda: any("It is down." in wait.why for wait in read(settings).waits))
    journal.update(status="completed", current_stage=None)
    keeper.close()
    assert read(settings).status == "completed"  # the last word is not lost


def test_a_server_that_dies_is_started_again_and_told_all(
    settings: Settings, keeper: PageKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.open()
    keeper.see(1, settle_slots([make_run(0)]), present=1)
    wait_for(lambda: len(read(settings).runs) == 1)
    first = ensure_wandb_server(settings)
    os.kill(first.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first.pid)], timeout=10)
    keeper.see(1, settle_slots([make_run(0), make_run(1)]), present=2)

    def is_told() -> bool:
        page = find_sweep_page(settings, UID)
        found = page.read() if page else None
        return found is not None and len(found.runs) == 2

    wait_for(is_told)
    assert ensure_wandb_server(settings).url == first.url
    assert len([one for one in caplog.records if "page could not be" in one.getMessage()]) <= 1


def test_a_driver_that_lives_says_so_though_nothing_happens(settings: Settings, keeper: PageKeeper) -> None:
    keeper.open()
    wait_for(lambda: (page := find_sweep_page(settings, UID)) is not None and page.read() is not None)
    heard = read_heard(settings)
    wait_for(lambda: read_heard(settings) > heard)


def read_heard(settings: Settings) -> int:
    """When the server last heard of the sweep, as its pages are answered."""
    server = ensure_wandb_server(settings)
    return int(ask(f"{server.url}/-/sweeps/{UID}/changes", server.key).partition('"heard":')[2].partition(",")[0])


def ask(url: str, key: str, method: str = "GET", body: bytes | None = None) -> str:
    token = base64.b64encode(f"api:{key}".encode()).decode()
    request = urllib.request.Request(url, body, {"Authorization": f"Basic {token}"}, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return str(answer.read().decode())


def test_an_end_is_told_by_any_process(settings: Settings, journal: Journal, keeper: PageKeeper) -> None:
    keeper.open()
    keeper.see(1, settle_slots([make_run(0)]), present=1)
    wait_for(lambda: len(read(settings).runs) == 1)
    keeper.close()
    assert read(settings).status == "running"
    stopped = journal.state.model_copy(update={"status": "stopped", "ended_because": "Ctrl+C"})
    mark_ended(stopped)
    told = read(settings)
    assert (told.status, told.ended_because, told.waits, len(told.runs)) == ("stopped", "Ctrl+C", (), 1)


def test_no_page_keeps_nobody_from_ending_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MULTISTAGE_HOME", str(tmp_path))
    state: State = in_stage(1)
    mark_ended(state)
    assert not print_page(Console(), UID)
    assert caplog.records == []


def test_a_worker_s_key_tells_no_page(settings: Settings, keeper: PageKeeper) -> None:
    keeper.open()
    server = ensure_wandb_server(settings)
    page = open_sweep_page(settings, UID)
    assert page.driver_key != server.key
    assert page.driver_key not in repr(page)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(page.address, server.key, "PUT", b"{}")
    stranger = SweepPage(address=page.address, driver_key="a" * 40)
    with pytest.raises(ServiceError, match="answers 401"):
        stranger.send(b"{}")
    with pytest.raises(ServiceError, match="answers 400"):
        page.send(b"{}")


def test_a_terminal_is_shown_a_login_and_a_file_is_not(settings: Settings, tmp_path: Path) -> None:
    server = ensure_wandb_server(settings)
    shown = []
    for is_terminal in (True, False):
        with (tmp_path / "out").open("w") as file:
            assert print_page(Console(file=file, force_terminal=is_terminal, width=300), UID)
        shown.append((tmp_path / "out").read_text())
    terminal, plain = shown
    link = terminal.split()[-1]
    assert link.startswith(f"{server.url}/-/login?token=")
    assert link.endswith(f"&next=/-/sweeps/{UID}")
    assert "token" not in plain
    assert f"Watch it: {server.url}/-/sweeps/{UID} (" in plain
    assert server.key not in terminal + plain

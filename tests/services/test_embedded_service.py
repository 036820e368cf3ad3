"""The embedded W&B server as a local service."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from multistage import machines
from multistage.errors import ServiceError
from multistage.services import ensure_wandb_server, inspect_services, renew_wandb_server, stop_services
from multistage.services.embedded import find_wandb_server
from multistage.services.hosts import add_host, read_hosts
from multistage.services.local_service import answers
from multistage.settings import Settings
from multistage.wandb_server.release import describe_release


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(home=tmp_path / "home")
    yield settings
    stop_services(settings)


def renew(settings: Settings) -> str:
    """Renew the server where there is nothing to do: whether sweeps are live is not looked at."""

    def refuse() -> bool:
        raise AssertionError("To look at sweeps may ask other machines.")

    return renew_wandb_server(settings, refuse)


def test_it_starts_is_reused_and_stops(settings: Settings) -> None:
    assert inspect_services(settings).wandb is None
    server = ensure_wandb_server(settings)
    assert server.started
    assert answers(f"{server.url}/healthz")
    again = ensure_wandb_server(settings)
    assert again == server.model_copy(update={"started": False}) == inspect_services(settings).wandb
    assert stop_services(settings) == ("W&B server",)
    assert not answers(f"{server.url}/healthz")
    assert stop_services(settings) == ()
    assert inspect_services(settings).wandb is None


def test_killed_it_comes_back_on_its_address_with_its_key(settings: Settings) -> None:
    first = ensure_wandb_server(settings)
    os.kill(first.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first.pid)], timeout=10)
    second = ensure_wandb_server(settings)
    assert second.started
    assert (second.url, second.key) == (first.url, first.key)
    assert second.pid != first.pid


def test_one_of_another_machine_is_neither_used_nor_ended_nor_joined(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ensure_wandb_server(settings)
    add_host(settings.wandb_server_folder, "127.0.0.2")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(machines, "read_host", lambda: "login2")
        elsewhere.setattr(machines, "read_mark", lambda: "boot-b")
        for call in (ensure_wandb_server, inspect_services, renew, stop_services):
            with pytest.raises(ServiceError, match="The W&B server of this folder runs on"):
                call(settings)
    assert read_hosts(settings.wandb_server_folder) == ("127.0.0.2",)
    found = find_wandb_server(settings)
    assert found is not None
    assert found.pid == server.pid


def test_one_that_another_machine_has_left_is_started_here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the node of a cluster on which the job ended, with all that was in it."""
    first = ensure_wandb_server(settings)
    os.kill(first.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first.pid)], timeout=10)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(machines, "read_host", lambda: "login2")
        elsewhere.setattr(machines, "read_mark", lambda: "boot-b")
        assert find_wandb_server(settings) is None
    second = ensure_wandb_server(settings)
    assert (second.started, second.url, second.key) == (True, first.url, first.key)


def test_its_key_stays_in_its_file(settings: Settings) -> None:
    server = ensure_wandb_server(settings)
    folder = settings.wandb_server_folder
    assert len(server.key) >= 40
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert server.key not in repr(server)
    assert server.key not in " ".join(psutil.Process(server.pid).cmdline())
    others = [path for path in folder.rglob("*") if path.is_file() and path.name != "key"]
    assert others
    assert not [path for path in others if server.key.encode() in path.read_bytes()]


def test_one_that_somebody_started_by_hand_is_used_and_left_alone(settings: Settings) -> None:
    folder = settings.wandb_server_folder
    command = [sys.executable, "-m", "multistage.wandb_server", "--data", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as by_hand:
        try:
            deadline = time.monotonic() + 60
            while (server := find_wandb_server(settings)) is None:
                assert by_hand.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert ensure_wandb_server(settings) == server
            assert (server.pid, server.started) == (by_hand.pid, False)
            assert stop_services(settings) == ()
            assert by_hand.poll() is None
        finally:
            by_hand.terminate()
            by_hand.wait(timeout=20)


def test_an_announcement_of_the_dead_is_not_believed(settings: Settings) -> None:
    server = ensure_wandb_server(settings)
    announcement = settings.wandb_server_folder / "server.json"
    content = announcement.read_text()
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(server.pid)], timeout=10)
    assert announcement.read_text() == content
    assert inspect_services(settings).wandb is None


def test_a_missing_key_is_named(settings: Settings) -> None:
    ensure_wandb_server(settings)
    (settings.wandb_server_folder / "key").unlink()
    with pytest.raises(ServiceError, match="key cannot be read"):
        ensure_wandb_server(settings)


def test_one_of_other_code_is_replaced_on_the_same_address(settings: Settings) -> None:
    assert renew(settings) == ""
    first = ensure_wandb_server(settings)
    assert renew(settings) == ""
    announcement = settings.wandb_server_folder / "server.json"
    content = json.loads(announcement.read_text())
    assert content["release"] == describe_release()
    del content["release"]
    announcement.write_text(json.dumps(content))
    assert renew_wandb_server(settings, lambda: False) == ""
    assert "another release's code" in renew_wandb_server(settings, lambda: True)
    second = ensure_wandb_server(settings)
    assert second.started
    assert (second.url, second.key) == (first.url, first.key)
    assert renew(settings) == ""

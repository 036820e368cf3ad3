"""What the conformance suite does not ask: the host's attendant by itself, and a way back that is cut."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from multistage.launchers.ssh import attendant
from multistage.launchers.ssh.connection import Connection
from multistage.launchers.ssh.host_watch import HostWatch
from multistage.launchers.ssh.records import HostPlace
from tests.slurm_cluster import wait_until
from tests.ssh_hosts import SshHosts, needs_ssh

ATTEND = [sys.executable, "-P", "-m", "multistage.launchers.ssh.attendant"]


def ask(folder: Path, act: str, **order: Any) -> dict[str, Any]:
    told = json.dumps({"act": act, "folder": str(folder), "host": "me@a", "is_shared": False, **order})
    done = subprocess.run(ATTEND, input=told, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.rpartition(attendant.MARK)[2])
    return answer


def start(folder: Path, worker_id: str, **order: Any) -> dict[str, Any]:
    """Have a worker started that finds no server, and asks for it for a minute."""
    variables = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "k" * 40}
    arguments = ["--sweep", "e/p/s", "--idle", "60"]
    whole = {"directory": str(folder), "worker_id": worker_id, "variables": variables, "arguments": arguments}
    return ask(folder, "start", **whole | order)


def test_a_worker_outlives_its_order_and_is_found_and_ended_with_or_without_its_process(tmp_path: Path) -> None:
    pid, began = start(tmp_path, "w-1")["started"]
    known, unknown, other = ["w-1", pid, began], ["w-1", None, 0.0], ["w-10", None, 0.0]
    assert ask(tmp_path, "look", workers=[known, other]) == {"alive": ["w-1"]}
    assert ask(tmp_path, "look", workers=[unknown]) == {"alive": ["w-1"]}
    assert ask(tmp_path, "stop", workers=[unknown]) == {"survivors": [], "others": False}
    assert ask(tmp_path, "look", workers=[known, unknown]) == {"alive": []}
    assert start(tmp_path, "w-1") == {"started": None}, "a worker that was ended before was started"
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_folder_that_is_not_the_drivers_own_is_told(tmp_path: Path) -> None:
    (tmp_path / attendant.SHARED).write_text("another's")
    told = start(tmp_path, "w-1", is_shared=True, token="mine")
    assert told == {"refused": f"doesn't see the folder {tmp_path}"}
    assert start(tmp_path, "w-1", directory="/no/folder") == {"refused": "has no folder /no/folder"}


def test_a_connection_that_no_worker_needs_ends_by_itself_and_one_that_is_cut_at_once(tmp_path: Path) -> None:
    order = json.dumps({"act": "hold", "folder": str(tmp_path), "host": "a", "is_shared": False}) + "\n"
    reader, writer = os.pipe()
    with subprocess.Popen(ATTEND, stdin=subprocess.PIPE, stdout=writer, text=True) as held:
        os.close(writer)
        assert held.stdin is not None
        held.stdin.write(order)
        held.stdin.flush()
        assert os.read(reader, 1) == b"."
        os.close(reader)
        assert held.wait(5) == 1
    assert ask(tmp_path, "hold") == {}


@contextmanager
def serving() -> Iterator[int]:
    """A server on this machine's loopback; gives its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def reach(port: int | None) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return int(answer.status)


@pytest.mark.slow
@needs_ssh
def test_a_way_back_begins_where_it_began_also_when_the_host_has_not_noticed_that_it_was_cut(
    ssh_hosts: SshHosts, tmp_path: Path
) -> None:
    place = HostPlace(host="host1", python=sys.executable, folder=str(tmp_path / "logs"), is_shared=False)
    connection = Connection(place)
    with serving() as port:
        there = connection.open_way_back(port)
        assert reach(there) == 204
        assert Connection(place).open_way_back(port, there) == there, "another process does not find it"
        wait_until((tmp_path / "logs" / ".hosts" / "host1" / "way-back").exists, "the host to note its end")
        for process in ssh_hosts.list_connections():
            process.send_signal(signal.SIGSTOP)
        for client in ssh_hosts.list_clients():
            client.kill()
        assert connection.open_way_back(port, there) == there
        assert reach(there) == 204
    connection.close()
    wait_until(lambda: not ssh_hosts.list_clients(), "the connection to end")


@needs_ssh
def test_only_a_sweeps_driver_warns_of_a_host_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """Another sweep's start looks at it once, and never again."""
    place = HostPlace(host="nowhere.invalid", python=sys.executable, folder="x", is_shared=False)
    looks = HostWatch(place)
    looks.look()
    assert "nowhere.invalid" in looks.reason
    assert caplog.messages == []
    HostWatch(place, keeps_way_back=True).look()
    assert ["asked again every 10 s" in message for message in caplog.messages] == [True]

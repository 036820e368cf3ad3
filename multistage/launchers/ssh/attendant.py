"""What runs on a host: starts workers, looks after them and ends them, as it is ordered. Imports next to nothing.

One order is read from the standard input, and one answer printed: both are a line of JSON, the answer's behind a mark,
since what a host prints at a login stands around it. A key comes in an order alone, so that it is in no command line.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from multistage.atomic_files import replace_file
from multistage.launchers.log_folder import LogFolder
from multistage.pids import find_living
from multistage.process_starts import read_start
from multistage.worker.conventions import WORKER_VARIABLE
from multistage.worker.outputs import open_private, read_last_lines
from multistage.worker.sessions import WorkerMark, end_processes, find_processes, find_worker

SHARED = ".shared"
"""In the sweep's folder, what the driver has left there for hosts that share its disk."""
MARK = "multistage-answer "
"""Begins the line of the answer."""
PATIENCE, KILL_PATIENCE = 5.0, 1.5
"""Seconds from SIGTERM to SIGKILL, above a worker's own for its training, and to wait after that."""
GRACE = 10.0
"""Seconds for which a way back is kept without any worker."""
BEAT = 1.0
"""Seconds between two looks whether it is still wanted."""

Order = Mapping[str, Any]


class HostFolder:
    """A sweep's folder on a host, and in it what is noted of this host's workers.

    Args:
        order: Names the folder (``~`` is the user's own, and what is relative is meant from there) and the host.
    """

    def __init__(self, order: Order) -> None:
        self.path = locate(order["folder"])
        self._notes = self.path / ".hosts" / quote(order["host"], safe="@")

    def make(self) -> None:
        """Make it, for its owner alone."""
        LogFolder(self.path).make()
        for folder in (self._notes.parent, self._notes):
            folder.mkdir(exist_ok=True, mode=0o700)

    def sees(self, token: str) -> bool:
        """Whether this folder is the one on the driver's disk, by what it has left there."""
        try:
            return (self.path / SHARED).read_text() == token
        except OSError:
            return False

    def note(self, worker_id: str, process: psutil.Process) -> list[float]:
        """Note a worker's process; gives what names it for ever."""
        told = [process.pid, read_start(process.pid)]
        self.make()
        replace_file(self._notes / f"{worker_id}.json", json.dumps(told))
        return told

    def has_living(self) -> bool:
        """Whether any worker that was noted here lives; dead ones are noted no more."""
        found = False
        for path in self._notes.glob("*.json"):
            with suppress(OSError, ValueError):
                if find_living(*json.loads(path.read_text())) is not None:
                    found = True
                else:
                    path.unlink(missing_ok=True)
        return found

    def locate_cancellation(self, worker_id: str) -> Path:
        """The mark of a worker that is not to begin any more, though it may be ordered only now."""
        return self._notes / f"{worker_id}.cancelled"

    def cancel(self, worker_id: str) -> None:
        """Leave that mark."""
        self.make()
        self.locate_cancellation(worker_id).touch(0o600)

    @property
    def way_back(self) -> Path:
        """Where the process is noted that holds the host's end of the way back."""
        return self._notes / "way-back"


def locate(text: str) -> Path:
    """Return the place that a text means on a host."""
    return Path.home() / Path(text).expanduser()


def start(order: Order) -> Mapping[str, Any]:
    """Start a worker in a session of its own, which outlives this process and its connection."""
    folder, directory = HostFolder(order), locate(order["directory"])
    if order["is_shared"] and not folder.sees(order["token"]):
        return {"refused": f"doesn't see the folder {folder.path}"}
    if not directory.is_dir():
        return {"refused": f"has no folder {directory}"}
    logs, worker_id = LogFolder(folder.path), order["worker_id"]
    folder.make()
    if folder.locate_cancellation(worker_id).exists():
        return {"started": None}
    environment = logs.build_environment({**order["variables"], WORKER_VARIABLE: worker_id})
    with open_private(logs.locate_worker(worker_id)) as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "multistage.worker", *order["arguments"]],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=directory,
        )
    told = folder.note(worker_id, psutil.Process(child.pid))
    if folder.locate_cancellation(worker_id).exists():
        end_processes([WorkerMark(worker_id, child.pid, told[1])], PATIENCE, KILL_PATIENCE)
    return {"started": told}


def look(order: Order) -> Mapping[str, Any]:
    """Return which workers live: by their process, or by their mark where that was never told."""
    marks = _read_marks(order)
    known = {mark.worker_id for mark in marks if mark.pid is not None and find_worker(mark)}
    unknown = {mark.worker_id for mark in marks if mark.pid is None and find_processes([mark])}
    return {"alive": sorted(known | unknown)}


def stop(order: Order) -> Mapping[str, Any]:
    """End workers with all that is theirs; tells what survived, and whether other workers live here."""
    folder, marks = HostFolder(order), _read_marks(order)
    for mark in marks:
        if mark.pid is None:
            folder.cancel(mark.worker_id)
    survivors = end_processes(marks, PATIENCE, KILL_PATIENCE)
    return {"survivors": [process.pid for process in survivors], "others": folder.has_living()}


def quote_output(order: Order) -> Mapping[str, Any]:
    """Quote the end of a run's output, or of a worker's."""
    logs = LogFolder(locate(order["folder"]))
    if "run" in order:
        return {"lines": logs.read_run(order["run"])}
    return {"lines": read_last_lines(logs.locate_worker(order["worker_id"]), 1)}


def hold(order: Order) -> Mapping[str, Any]:
    """Keep a connection, and with it the way back, as long as workers need it.

    What is printed goes nowhere, and ends this process once the connection is gone.
    """
    folder, used_at = HostFolder(order), time.monotonic()
    _end_earlier(folder)
    is_seen = folder.path.is_dir() or not order["is_shared"]
    if is_seen and (connection := _find_connection()) is not None:
        folder.make()
        replace_file(folder.way_back, json.dumps([connection.pid, read_start(connection.pid)]))
    while time.monotonic() - used_at < GRACE:
        print(".", flush=True)  # noqa: T201 - this is how the end of the connection is noticed
        time.sleep(BEAT)
        if folder.has_living():
            used_at = time.monotonic()
    return {}


def survey(order: Order) -> Mapping[str, Any]:
    """Return what this host has, and what it lacks."""
    from multistage.launchers.ssh.survey import survey_host

    return survey_host(order, locate(order["directory"]))


def _end_earlier(folder: HostFolder) -> None:
    """End the host's end of an earlier connection, which may not have noticed yet that the network was cut."""
    with suppress(OSError, ValueError):
        process = find_living(*json.loads(folder.way_back.read_text()))
        if process is not None and process.name().startswith("sshd"):
            process.kill()


def _find_connection() -> psutil.Process | None:
    """Find this user's process of sshd through which this one was started."""
    above = psutil.Process().parents()
    return next((one for one in above if one.name().startswith("sshd")), None)


def _read_marks(order: Order) -> list[WorkerMark]:
    return [WorkerMark(*told) for told in order["workers"]]


ACTS: Mapping[str, Callable[[Order], Mapping[str, Any]]] = {
    "start": start,
    "look": look,
    "stop": stop,
    "quote": quote_output,
    "hold": hold,
    "survey": survey,
}


def main(lines: Iterable[str] = sys.stdin) -> None:
    """Carry out one order."""
    order = json.loads(next(iter(lines)))
    # A folder like wandb/ where the user logs in must not pass for a package of trainings.
    os.chdir("/")
    try:
        answer = ACTS[order["act"]](order)
    except BrokenPipeError:  # the connection that was to be kept is gone
        os._exit(1)
    print(f"\n{MARK}{json.dumps(answer)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

"""A server process of one's own on this machine: started once, found again, ended whole."""

import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from multistage.atomic_files import replace_file
from multistage.errors import ServiceError
from multistage.file_locks import GLANCE, explain_failure, is_held, try_lock
from multistage.machines import is_here, name_host
from multistage.services.service_processes import ProcessRecord, is_alive, start_process, stop_session
from multistage.services.start_progress import LONGEST, StartProgress

POLL_INTERVAL = 0.05
"""Seconds between two looks at something that is awaited."""
OTHER_DISK = "Let MULTISTAGE_HOME name a folder on another disk."
"""What to do where a disk has no file locks."""
LOG_TAIL_LINES = 15
"""How much of the log an error shows."""

# Services listen on this machine only: a proxy has no part in reaching them.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServiceRecord(ProcessRecord):
    """What is remembered of a service between two commands.

    Args:
        port: Its port, kept when the service has ended: the next start takes it again.
    """

    port: int


@dataclass(frozen=True)
class StartedService:
    """A service that answers.

    Args:
        record: Its process and port.
        started: Whether this call started it.
        note: What the user should know about the start; empty for nothing.
    """

    record: ServiceRecord
    started: bool
    note: str = ""


@dataclass(frozen=True)
class LocalService:
    """How to run one service.

    Args:
        name: What people call it.
        folder: Its working directory; record, lock and log are kept here.
        build_command: Makes the command line for a port.
        build_environment: Makes the whole environment for a port.
        health_path: Answers 200 once the service is up.
        patience: Seconds without any progress after which a start is given up; one that gets on is waited for.
        is_private: Whether the files that it makes are its owner's alone; not where it starts users' trainings.
    """

    name: str
    folder: Path
    build_command: Callable[[int], Sequence[str]]
    build_environment: Callable[[int], Mapping[str, str]]
    health_path: str
    patience: float = 120.0
    is_private: bool = True

    @property
    def log(self) -> Path:
        """What the service printed since its last start; the one before is kept beside it."""
        return self.folder / "server.log"

    @property
    def _record_path(self) -> Path:
        return self.folder / "process.json"

    def find(self) -> ServiceRecord | None:
        """Return the running service, if it runs and answers.

        Raises:
            ServiceError: If it runs on another machine.
        """
        record = self._read_own()
        return record if record and is_alive(record) and answers(self._build_health_url(record)) else None

    def has_died(self) -> bool:
        """Whether it was started once and neither lives nor answers; a clock that jumped makes nobody dead."""
        record = self.read_record()
        if record is None or not is_here(record.machine):
            return False  # what became of it elsewhere is for those there to see
        return not is_alive(record) and not answers(self._build_health_url(record))

    def ensure(self) -> StartedService:
        """Return the running service, starting it where it does not run.

        Of several callers at once, one starts it and the others get what it started. A service that died comes back
        on its port.

        Raises:
            ServiceError: If it does not start; the message ends with its log's last lines. Or if it runs on another
                machine.
        """
        if running := self.find():
            return StartedService(running, started=False)
        with self._lock():
            record = self._read_own()
            if record and self._wait_until_ready(record):
                return StartedService(record, started=False)
            if record:
                stop_session(record, self.name)
            return self._start(record)

    def replace(self, record: ServiceRecord) -> StartedService:
        """Start the service anew, on its port, where it is still the recorded one; else give what runs by now.

        Raises:
            ServiceError: If it does not end, or does not start.
        """
        with self._lock():
            if self.read_record() == record:
                stop_session(record, self.name)
                return self._start(record)
        return self.ensure()

    def stop(self) -> bool:
        """End the service and all that it started.

        Returns:
            Whether anything ran.

        Raises:
            ServiceError: If a process cannot be ended, or it runs on another machine.
        """
        if not self._record_path.exists():
            return False
        with self._lock():
            record = self._read_own()
            return record is not None and stop_session(record, self.name)

    def _start(self, previous: ServiceRecord | None) -> StartedService:
        began = time.monotonic()
        port = previous.port if previous and is_free(previous.port) else find_free_port()
        record = self._spawn(port)
        ready = self._wait_until_ready(record)
        if not ready and not is_alive(record) and not is_free(port):
            # Another program was quicker to take the port.
            record = self._spawn(find_free_port())
            ready = self._wait_until_ready(record)
        if not ready:
            raise self._explain_failure(record, time.monotonic() - began)
        moved = previous is not None and record.port != previous.port
        note = f"Another program has its old port, so the {self.name} is now on port {record.port}." if moved else ""
        return StartedService(record, started=True, note=note)

    def _spawn(self, port: int) -> ServiceRecord:
        umask = 0o077 if self.is_private else -1
        try:
            if self.log.exists():
                self.log.replace(self.log.with_suffix(".previous.log"))
            environment = self.build_environment(port)
            self._held.touch(0o600)
            with self._held.open("ab") as held:
                try_lock(held, GLANCE)
                command = self.build_command(port)
                process = start_process(command, self.folder, environment, self.log, held, umask)
            record = ServiceRecord(port=port, **process.model_dump())
            try:
                self._write_record(record)
            except BaseException:
                stop_session(record, self.name)  # nobody would find it again, and it holds the folder
                raise
        except OSError as error:
            raise self._refuse_folder(error) from error
        return record

    def _wait_until_ready(self, record: ServiceRecord) -> bool:
        progress = StartProgress(self.name, record, self.log, self.patience)
        while is_alive(record) and progress.goes_on():
            if answers(self._build_health_url(record)):
                return True
            time.sleep(POLL_INTERVAL)
        return False

    def _build_health_url(self, record: ServiceRecord) -> str:
        return f"http://127.0.0.1:{record.port}{self.health_path}"

    def _explain_failure(self, record: ServiceRecord, waited: float) -> ServiceError:
        ended = not is_alive(record)
        stop_session(record, self.name)
        what = "ended before it was ready" if ended else f"was not ready after {waited:.0f} s"
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        said = f" Its log ends with:\n{tail}\n" if tail.strip() else " It printed nothing."
        return ServiceError(f"The {self.name} {what}.{said}", f"The log is {self.log}.")

    def read_record(self) -> ServiceRecord | None:
        """Read what is remembered of the service, whether it runs or not.

        Raises:
            ServiceError: If the file is damaged or cannot be reached.
        """
        try:
            return ServiceRecord.model_validate_json(self._record_path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refuse_folder(error) from error
        except ValidationError as error:
            raise ServiceError(
                f"{self._record_path} cannot be read: {error.errors()[0]['msg']}.",
                f"End the {self.name} by hand if it runs, and delete that file.",
            ) from error

    @property
    def _held(self) -> Path:
        """A file whose lock the service holds: by that it is known to live on another machine."""
        return self.folder / "running.lock"

    def _read_own(self) -> ServiceRecord | None:
        """Read the record where it does not run on another machine."""
        record = self.read_record()
        if record is not None and not is_here(record.machine):
            try:
                lives = is_held(self._held)
            except OSError as error:
                raise ServiceError(explain_failure(self._held, error), OTHER_DISK) from error
            if lives:
                raise refuse_other_machine(self.name, self.folder, record.machine)
        return record

    def _refuse_folder(self, error: OSError) -> ServiceError:
        return ServiceError(
            f"The folder of the {self.name} cannot be used: {error}.",
            "Free some space or fix it; MULTISTAGE_HOME names another place for it.",
        )

    def _write_record(self, record: ServiceRecord) -> None:
        replace_file(self._record_path, record.model_dump_json())

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the folder's lock, which the kernel frees when its holder dies."""
        try:
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            lock = self.folder / "start.lock"
            lock.touch(0o600)
            file = lock.open("w")
        except OSError as error:
            raise self._refuse_folder(error) from error
        with file:
            deadline = time.monotonic() + LONGEST + self.patience
            while not self._try_lock(file):
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"Another command has been starting or stopping the {self.name} "
                        f"for {LONGEST + self.patience:g} s.",
                        f"Its log is {self.log}.",
                    )
                time.sleep(POLL_INTERVAL)
            yield

    def _try_lock(self, file: TextIO) -> bool:
        try:
            return try_lock(file)
        except OSError as error:
            raise ServiceError(explain_failure(Path(file.name), error), OTHER_DISK) from error


def refuse_other_machine(name: str, folder: Path, machine: str) -> ServiceError:
    """Build the error for a service that another machine runs in the same folder.

    Args:
        name: What people call the service.
        folder: Its folder.
        machine: As `describe_machine` wrote it there.
    """
    host = name_host(machine)
    return ServiceError(
        f"The {name} of this folder runs on {host}: {folder}.",
        f"Use it there, end it there with `multistage-sweep down`, or give this machine a MULTISTAGE_HOME of its own. "
        f"Where {host} is gone for good, delete the files {folder}/*lock.",
    )


def answers(url: str) -> bool:
    """Whether a URL of this machine answers 200 within 5 s."""
    try:
        with _opener.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, HTTPException):
        return False


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger after a restart do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_free_port() -> int:
    """Let the kernel choose a port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

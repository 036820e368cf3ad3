"""What a sweep wants of its hosts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from multistage.domain.sweep.plan import RunRequest, SweepSettings
from multistage.domain.workers.gpu_shares import check_share, share_gpus, split_gpu
from multistage.domain.workers.variables import is_loopback
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.errors import UsageError
from multistage.launchers.gpus import Gpus
from multistage.launchers.ssh.records import HostPlace
from multistage.options.ssh import Host, parse_hosts


@dataclass(frozen=True)
class Needs:
    """What trainings need of a host."""

    python: str
    """The host's Python that has this package."""
    directory: str
    is_shared: bool
    """Whether that folder is on a disk which this machine has, too."""
    program: str | None
    command: tuple[str, ...]
    interpreter: str | None
    """Of the trainings, as it was asked for."""
    gpus_per_run: float | None
    """0 where GPUs are not dealt out."""

    @property
    def order(self) -> Mapping[str, Any]:
        """What a host's attendant is told of them."""
        told = {"directory": self.directory, "program": self.program, "command": list(self.command)}
        return {**told, "interpreter": self.interpreter}


@dataclass(frozen=True)
class Errand:
    """What a launcher starts workers for."""

    hosts: Sequence[Host]
    needs: Needs
    folder: str
    """The sweep's folder of logs on hosts."""
    variables: Mapping[str, str] = field(repr=False)
    """The server's URL, as this machine reaches it, and its key."""
    idle: float = 60.0
    """Seconds without a run after which a worker leaves."""
    list_workers: Callable[[], Sequence[WorkerRecord]] = tuple

    def find_place(self, host: Host) -> HostPlace:
        """Return the sweep's place on a host."""
        needs = self.needs
        return HostPlace(host=host.address, python=needs.python, folder=self.folder, is_shared=needs.is_shared)

    @property
    def server_port(self) -> int | None:
        """The server's port on this machine's 127.0.0.1; None for a server that hosts reach by themselves."""
        url = self.variables["WANDB_BASE_URL"]
        return (urlsplit(url).port or 80) if is_loopback(url) else None

    def list_seats(self) -> Iterator[tuple[Host, int]]:
        """List the workers that there can be, the first ones of all hosts before the second ones of any."""
        for seat in range(max(host.seats for host in self.hosts)):
            yield from ((host, seat) for host in self.hosts if seat < host.seats)

    def fill_variables(self, there: int | None) -> dict[str, str]:
        """Return the variables of workers on a host where a way back begins at some port."""
        if there is None:
            return dict(self.variables)
        return {**self.variables, "WANDB_BASE_URL": f"http://127.0.0.1:{there}"}


def read_hosts(request: RunRequest) -> tuple[Host, ...]:
    """Read which hosts there are.

    Raises:
        UsageError: None was named.
    """
    if request.hosts is None:
        raise UsageError("--launcher ssh needs hosts.", "Name them, and how many workers each has: --hosts a,me@b:2.")
    return parse_hosts(request.hosts)


def find_needs(settings: SweepSettings, request: RunRequest, own_python: str, directory: Path, bundled: bool) -> Needs:
    """Find out what a sweep's trainings need of hosts.

    Args:
        settings: The sweep.
        request: How it is run.
        own_python: This process's Python.
        directory: Where trainings would run on this machine.
        bundled: Whether a bundled trainer trains.
    """
    return Needs(
        python=request.ssh.worker_python or own_python,
        directory=request.ssh.directory or str(directory.absolute()),
        is_shared=request.ssh.directory is None,
        program=settings.program,
        command=settings.command,
        interpreter=str(request.python) if request.python else None,
        gpus_per_run=0 if bundled else request.gpus_per_run,
    )


def choose_gpus(gpus: Gpus, host: Host, seat: int, per_run: float | None) -> tuple[str, ...]:
    """Choose the GPUs of one of a host's workers; empty where none are dealt out.

    Args:
        gpus: That the host has.
        host: The host.
        seat: Which of its workers it is.
        per_run: As asked for; None deals all of them out.

    Raises:
        UsageError: There are too few.
    """
    devices = gpus.devices
    if per_run == 0 or (not devices and per_run is None):
        return ()
    if per_run is not None:
        check_share(len(devices), per_run, host.seats)
    share = split_gpu(per_run) if per_run else share_gpus(len(devices), host.seats)
    if share.each == 1:
        return (devices[seat % len(devices)],)
    return devices[seat * share.each : (seat + 1) * share.each]

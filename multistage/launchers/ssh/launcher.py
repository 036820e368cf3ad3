"""Starts, watches and ends workers on hosts that ssh reaches."""

import json
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from multistage.atomic_files import replace_file
from multistage.domain.workers.worker_records import WorkerEnd, WorkerRecord
from multistage.errors import CloudAwayError, LaunchError
from multistage.launchers.base import Traits
from multistage.launchers.gpus import Gpus
from multistage.launchers.log_folder import LogFolder
from multistage.launchers.ssh.attendant import SHARED
from multistage.launchers.ssh.connection import PATIENCE
from multistage.launchers.ssh.errand import Errand, choose_gpus
from multistage.launchers.ssh.host_watch import HostWatch
from multistage.launchers.ssh.records import (
    NAME,
    HostPlace,
    SshDetails,
    is_on_host,
    name_process,
    read_details_of,
)
from multistage.options.ssh import Host
from multistage.worker.interpreter import INTERPRETER_VARIABLE
from multistage.worker.outputs import read_last_lines

STOP_PATIENCE = 9.0
"""Seconds that a host has to end workers."""
AT_ONCE = 8
"""Hosts that are asked at once; sshd allows ten sessions of one connection."""
TRAITS = Traits(title="other hosts", is_remote=True, can_keep=True)
T = TypeVar("T")
R = TypeVar("R")


class SshLauncher:
    """Starts workers on other hosts, each in a session of its own; a ``Launcher``.

    Args:
        folder: The sweep's folder of logs on this machine.
        errand: What to start workers for; None for a launcher that watches and ends them.
    """

    traits = TRAITS
    fee = None

    def __init__(self, folder: Path, errand: Errand | None = None) -> None:
        self._logs = LogFolder(folder.absolute())
        self._errand = errand
        self._launcher_id = secrets.token_hex(4)
        self._launched = 0
        self._watches: dict[HostPlace, HostWatch] = {}
        self._surveys: dict[Host, Mapping[str, Any]] = {}
        self._lock = threading.RLock()

    def prepare(self) -> None:
        """Leave a mark by which hosts that share this disk are told from those that don't."""
        self._logs.make()
        if self._errand is not None and self._errand.needs.is_shared:
            mark = self._logs.path / SHARED
            if not mark.exists():
                replace_file(mark, secrets.token_hex(8))

    def launch(self, sweep: str, count: int) -> Iterator[WorkerRecord]:
        """Start workers for a sweep, on the hosts that answer.

        Each is told of before it is started, and after. Fewer start where all of a host's are at work, or it is away.

        Raises:
            CloudAwayError: No host answers that has room for a worker.
            LaunchError: A host cannot do what workers need.
        """
        errand = self._errand
        if errand is None:
            raise LaunchError("This launcher was opened to stop workers, not to start them.")
        with self._lock:
            self.prepare()
            free = self._list_free(errand)
            ready = self._make_ready(errand, list(dict.fromkeys(host for host, _ in free)))
            seats = [(host, seat) for host, seat in free if host in ready][:count]
            intents = [self._intend(errand, sweep, host, seat, ready[host]) for host, seat in seats]
        yield from intents
        troubles: list[LaunchError] = []
        orders = [(host, ready[host], intent) for (host, _), intent in zip(seats, intents, strict=True)]
        for told in ask_at_once(lambda order: self._start(errand, *order), orders):
            if isinstance(told, LaunchError):
                troubles.append(told)
            elif told is not None:
                yield told
        hard = [one for one in troubles if not isinstance(one, CloudAwayError)]
        if hard or (troubles and len(troubles) == len(intents)):
            raise (hard or troubles)[0]

    def adopts(self, record: WorkerRecord) -> bool:
        """Whether a worker is on one of this launcher's hosts, and as it would start one there."""
        if not is_on_host(record) or self._errand is None:
            return is_on_host(record)
        own, needs = read_details_of(record), self._errand.needs
        places = [self._errand.find_place(host) for host, seat in self._errand.list_seats() if seat == own.seat]
        return own.place in places and own.python == needs.interpreter

    def is_alive(self, record: WorkerRecord) -> bool:
        """Whether the worker still works, as far as is known; also of another process's worker."""
        return self.inspect(record) is None

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """How the worker ended, which nobody tells; None while it works, or its host does not answer."""
        if not is_on_host(record):
            return WorkerEnd(fault="none")
        with self._lock:
            watch = self._find_watch(read_details_of(record).place)
            watch.watch(record)
            ask_at_once(HostWatch.look, [one for one in self._watches.values() if one.is_due])
            return watch.inspect(record)

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        """End workers with every training below them, also trainings whose worker is gone already.

        Raises:
            CloudAwayError: A host does not answer.
            LaunchError: A process survived SIGKILL.
        """
        groups: dict[HostPlace, list[WorkerRecord]] = {}
        for record in records:
            if is_on_host(record):
                groups.setdefault(read_details_of(record).place, []).append(record)
        with self._lock:
            ended = ask_at_once(lambda place: self._stop(place, groups[place]), list(groups))
        if troubles := [one for one in ended if one is not None]:
            raise troubles[0]

    def _stop(self, place: HostPlace, records: Sequence[WorkerRecord]) -> LaunchError | None:
        try:
            survivors = self._find_watch(place).stop(records, STOP_PATIENCE, closes=True)
        except LaunchError as error:
            return error
        if survivors:
            pids = ", ".join(map(str, survivors))
            return LaunchError(f"On the host {place.host} processes survived SIGKILL: {pids}.", "End them by hand.")
        return None

    def explain_waiting(self, records: Sequence[WorkerRecord]) -> str:
        """Say which hosts are away."""
        with self._lock:
            return "; ".join(watch.reason.rstrip(".") for watch in self._watches.values() if watch.reason)

    def read_failure(self, run_id: str) -> str:
        """The last lines that a training printed, wandb's own left out; empty where it printed none."""
        lines = self._logs.read_run(run_id)
        with self._lock:
            apart = [watch for place, watch in self._watches.items() if not place.is_shared]
            quoted = ask_at_once(lambda watch: _quote(watch, run=Path(run_id).name), apart) if not lines else []
        return "\n".join(next((one for one in quoted if one), lines))

    def read_last_words(self, record: WorkerRecord) -> str:
        """The last line of a worker's log."""
        place = read_details_of(record).place
        if place.is_shared:
            return "".join(read_last_lines(self._logs.locate_worker(record.worker_id), 1))
        with self._lock:
            return "".join(_quote(self._find_watch(place), worker_id=record.worker_id))

    def name_log(self, record: WorkerRecord) -> str:
        """Where a worker's log is."""
        place = read_details_of(record).place
        path = LogFolder(Path(place.folder)).locate_worker(record.worker_id)
        return str(path) if place.is_shared else f"{path} on {place.host}"

    def judge_training(self, error: str) -> None:
        """Nothing: each training is judged by itself."""

    def close(self) -> None:
        """Close the ways back that no worker needs; the others end by themselves after the last worker."""
        with self._lock:
            if self._errand is None:
                return
            for watch in self._watches.values():
                watch.let_go()

    def _read_token(self, errand: Errand) -> str | None:
        return (self._logs.path / SHARED).read_text() if errand.needs.is_shared else None

    def _find_watch(self, place: HostPlace) -> HostWatch:
        if place not in self._watches:
            keeps = self._errand is not None
            port = self._errand.server_port if self._errand else None
            self._watches[place] = HostWatch(place, keeps, port)
        return self._watches[place]

    def _list_free(self, errand: Errand) -> list[tuple[Host, int]]:
        """List the seats without a living worker, on hosts that are not known to be away."""
        taken = set()
        for record in errand.list_workers():
            if is_on_host(record) and self.inspect(record) is None:
                own = read_details_of(record)
                taken.add((own.host, own.seat))
        for watch in self._watches.values():
            taken |= {(watch.place.host, seat) for seat in watch.list_seats()}
        return [(host, seat) for host, seat in errand.list_seats() if (host.address, seat) not in taken]

    def _make_ready(self, errand: Errand, hosts: Sequence[Host]) -> dict[Host, int | None]:
        """Open the ways back from hosts; gives where they begin, for those that answer.

        Raises:
            CloudAwayError: None answers, and no worker works on any other.
            LaunchError: One cannot do what workers need.
        """

        def open_one(host: Host) -> int | LaunchError | None:
            watch = self._find_watch(errand.find_place(host))
            if not watch.may_be_tried:
                return CloudAwayError(watch.reason)
            try:
                there = watch.open_way_back()
                if host not in self._surveys:
                    found = watch.connection.ask("survey", **errand.needs.order)
                    if "fault" in found:
                        return LaunchError(f"On the host {host.address}: {found['fault'][0]}", found["fault"][1])
                    self._surveys[host] = found
            except LaunchError as error:
                if isinstance(error, CloudAwayError):
                    watch.note_away(error)
                return error
            return there

        ready, away = {}, []
        for host, told in zip(hosts, ask_at_once(open_one, hosts), strict=True):
            if not isinstance(told, LaunchError):
                ready[host] = told
            elif not isinstance(told, CloudAwayError):
                raise told
            else:
                away.append(told)
        if away and not ready and not self._has_any_answer():
            raise away[0]
        return ready

    def _has_any_answer(self) -> bool:
        """Look whether workers work on a host that answers now."""
        at_work = [watch for watch in self._watches.values() if watch.has_living and watch.may_be_tried]
        ask_at_once(HostWatch.look, at_work)
        return any(watch.has_living and not watch.reason for watch in at_work)

    def _intend(self, errand: Errand, sweep: str, host: Host, seat: int, there: int | None) -> WorkerRecord:
        self._launched += 1
        place, needs = errand.find_place(host), errand.needs
        details = SshDetails(
            host=host.address,
            seat=seat,
            host_python=place.python,
            folder=place.folder,
            is_shared=place.is_shared,
            port=there,
            python=needs.interpreter,
        )
        return WorkerRecord(
            launcher=NAME,
            worker_id=f"{self._launcher_id}-{self._launched}",
            sweep=sweep,
            launched_at=datetime.now(UTC),
            is_started=False,
            details=details.model_dump(mode="json"),
        )

    def _start(
        self, errand: Errand, host: Host, there: int | None, intent: WorkerRecord
    ) -> WorkerRecord | LaunchError | None:
        """Start a worker; gives its record, why there is none, or None where it was ended before it began."""
        watch = self._watches[errand.find_place(host)]
        try:
            told = watch.connection.ask(
                "start",
                worker_id=intent.worker_id,
                directory=errand.needs.directory,
                token=self._read_token(errand),
                arguments=["--sweep", intent.sweep, "--idle", f"{errand.idle:g}"],
                variables=self._fill_variables(errand, host, there, read_details_of(intent).seat),
            )
        except LaunchError as error:
            if isinstance(error, CloudAwayError):
                watch.note_away(error)
            return error
        if "refused" in told:
            hint = "A sweep's folder must be on a disk that hosts share with this machine; else name --ssh-directory."
            return LaunchError(f"The host {host.address} {told['refused']}.", hint)
        if told["started"] is None:
            return None
        record = name_process(intent, *told["started"])
        watch.note_started(record)
        return record

    def _fill_variables(self, errand: Errand, host: Host, there: int | None, seat: int) -> dict[str, str]:
        variables, found = errand.fill_variables(there), self._surveys[host]
        if found["interpreter"] is not None:
            variables[INTERPRETER_VARIABLE] = json.dumps(found["interpreter"])
        if found["gpus"] is not None:
            gpus = Gpus.model_validate(found["gpus"])
            if own := choose_gpus(gpus, host, seat, errand.needs.gpus_per_run):
                variables[gpus.variable] = ",".join(own)
        return variables


def _quote(watch: HostWatch, **what: str) -> list[str]:
    """Quote an output on a host; nothing where it does not answer."""
    if not watch.may_be_tried:
        return []
    try:
        return list(watch.connection.ask("quote", PATIENCE, **what)["lines"])
    except LaunchError as error:
        watch.note_away(error)
        return []


def ask_at_once(act: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """Ask several hosts at once."""
    listed = list(things)
    if len(listed) < 2:
        return [act(one) for one in listed]
    with ThreadPoolExecutor(min(AT_ONCE, len(listed))) as pool:
        return list(pool.map(act, listed))

"""Looks whether a launcher keeps what `multistage.launchers.base` promises. Public, for those who bring one.

Whoever does writes a `Bench` and runs every check on it, here with pytest::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_launcher(check: Check, bench: MyBench) -> None:
        check(bench)

Each check starts workers and ends them. The launcher must be registered: one step runs in a process of its own, which
has nothing but the records.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from multistage.domain.workers.worker_records import WorkerRecord
from multistage.errors import CloudAwayError, LaunchError
from multistage.launchers.base import Launcher
from multistage.launchers.registry import find_kind

STOP_LIMIT = 10.0
"""Seconds that a stop may take."""
SETTLE_LIMIT = 90.0
"""Seconds for what is no matter of the launcher's own speed, such as the end of a training."""
ATTENDANT = """
import sys
from pathlib import Path
from pydantic import TypeAdapter
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.launchers.registry import find_kind
records = TypeAdapter(list[WorkerRecord]).validate_json(sys.stdin.read())
launcher = find_kind(sys.argv[1]).attend(Path(sys.argv[2]))
print(*(int(launcher.is_alive(one)) for one in records))
launcher.close()
"""
_RECORDS = TypeAdapter(list[WorkerRecord])


class NonconformityError(AssertionError):
    """The launcher does not keep a promise."""


class Bench(Protocol):
    """What a launcher is looked at with."""

    name: str
    """As it is registered."""
    logs: Path
    """Folder of the logs."""
    sweep: str
    """``entity/project/id`` of a sweep that has work for two workers, for minutes."""

    def open(self) -> Launcher:
        """Open a launcher as a process does that drives a sweep."""
        ...

    def fail(self) -> tuple[str, str]:
        """Queue a run whose training prints something and fails: a sweep of nothing else, and what it prints.

        Returns:
            The sweep, and words of the last five lines that are printed.
        """
        ...

    def find_failed(self, sweep: str) -> str | None:
        """Return the id of that run once it has failed."""
        ...

    def cut_off(self) -> AbstractContextManager[None] | None:
        """Keep what starts workers from answering as long as the context lasts; None where nothing can."""
        ...


Check = Callable[[Bench], None]


def check_launch(bench: Bench) -> None:
    """Workers are told of one by one, under ids of their own, in records that survive being written down."""
    with closing(bench.open()) as launcher, _launched(bench, launcher, 2) as told:
        records = _take_latest(told)
        _demand(len(records) == 2, f"two workers were asked for, and {len(records)} told of")
        for record in records:
            _demand(record.launcher == bench.name, f"a record names the launcher {record.launcher!r}")
            _demand(record.sweep == bench.sweep, f"a record names the sweep {record.sweep!r}")
            _demand(record.is_started, f"{record.worker_id} was never told to be started")
            _demand(_copy([record]) == [record], f"the record of {record.worker_id} is read back otherwise")
            _demand((record.fee is not None) == launcher.traits.costs_money, "a fee goes with what costs money alone")
            _demand(launcher.is_alive(record), f"{record.worker_id} is not alive")
            _demand(launcher.inspect(record) is None, f"{record.worker_id} works, and is said to have ended")
            _demand(launcher.adopts(record), "a launcher does not adopt its own worker")
            _demand(bool(launcher.name_log(record)), "nobody says where a worker's log is")
        _demand((launcher.fee is not None) == launcher.traits.costs_money, "the next worker's fee is not told")


def check_adoption(bench: Bench) -> None:
    """Workers live on when their launcher is closed, and another process knows them by their records alone."""
    with closing(bench.open()) as keeper:
        with closing(bench.open()) as launcher:
            told = list(launcher.launch(bench.sweep, 2))
        with _ended(keeper, told):
            records = _take_latest(told)
            answer = subprocess.run(
                [sys.executable, "-c", ATTENDANT, bench.name, str(bench.logs)],
                input=_RECORDS.dump_json(records),
                capture_output=True,
                check=False,
            )
            said = answer.stdout.decode().split()
            _demand(said == ["1", "1"], f"another process does not find them: {said}, {answer.stderr.decode()[-500:]}")
            _demand(all(keeper.adopts(one) for one in _copy(records)), "a later launcher does not adopt them")


def check_stop(bench: Bench) -> None:
    """Any process ends workers by their records, in time, once or again; nobody else's are touched."""
    with closing(bench.open()) as launcher, _launched(bench, launcher, 2) as told:
        first, second = _take_latest(told)
        stranger = second.model_copy(update={"launcher": "another"})
        with closing(find_kind(bench.name).attend(bench.logs)) as other:
            other.stop([])
            other.stop([stranger])
            _demand(other.is_alive(second), "a worker of another launcher's was ended")
            _demand(not launcher.adopts(stranger), "a worker of another launcher's was adopted")
            began = time.monotonic()
            other.stop(_copy([first, second]))
            took = time.monotonic() - began
            _demand(took < STOP_LIMIT, f"to stop two workers took {took:.1f} s")
            other.stop(_copy([first, second]))
            for record in (first, second):
                _demand(not other.is_alive(record), f"{record.worker_id} survived")
                end = other.inspect(record)
                _demand(not other.traits.can_inspect or end is not None, "nobody says how a worker ended")


def check_stop_before_the_id(bench: Bench) -> None:
    """A worker is ended by the first record that told of it, as a process leaves it that died while launching."""
    with closing(bench.open()) as launcher, _launched(bench, launcher, 2) as told:
        first_told = list({one.worker_id: one for one in reversed(told)}.values())
        with closing(find_kind(bench.name).attend(bench.logs)) as other:
            other.stop(_copy(first_told))
            for record in first_told:
                _demand(not other.is_alive(record), f"{record.worker_id} survived")
            latest = _take_latest(told)
            _wait(lambda: not any(launcher.is_alive(one) for one in latest), "those to end that had not begun")
            for record in first_told:
                if not record.is_started:
                    never = record.model_copy(update={"worker_id": f"{record.worker_id}0"})
                    other.stop([never])
                    _demand(not other.is_alive(never), "a worker that was never started is said to live")


def check_failure_text(bench: Bench) -> None:
    """What a failed training printed last can be quoted; of an unknown one there is nothing to quote."""
    sweep, words = bench.fail()
    with closing(bench.open()) as launcher:
        told = list(launcher.launch(sweep, 1))
        with _ended(launcher, told):
            _wait(lambda: bench.find_failed(sweep) is not None, "the training to fail")
            run_id = bench.find_failed(sweep) or ""
            _watch(launcher, told, lambda: words in launcher.read_failure(run_id), f"the words {words!r}")
            for unknown in ("nosuchrun", "../nosuchrun"):
                _demand(launcher.read_failure(unknown) == "", "an unknown run is quoted")


def check_away_and_back(bench: Bench) -> None:
    """While nothing answers no worker is said to have ended; afterwards all is as it was."""
    cut = bench.cut_off()
    if cut is None:
        return
    with closing(bench.open()) as launcher, _launched(bench, launcher, 1) as told:
        (record,) = _take_latest(told)
        with cut, closing(find_kind(bench.name).attend(bench.logs)) as other:
            _demand(other.inspect(record) is None, "a worker of which nothing is known is said to have ended")
            _demand_error(lambda: other.stop([record]), LaunchError, "a stop that cannot be known to work is silent")
            _demand_error(lambda: list(launcher.launch(bench.sweep, 1)), CloudAwayError, "a launch does not say so")
        with closing(find_kind(bench.name).attend(bench.logs)) as other:
            _demand(other.is_alive(record), "the worker was not found again")
            other.stop([record])
            _demand(not other.is_alive(record), "the worker survived")


CHECKS: Sequence[Check] = (
    check_launch,
    check_adoption,
    check_stop,
    check_stop_before_the_id,
    check_failure_text,
    check_away_and_back,
)


@contextmanager
def _launched(bench: Bench, launcher: Launcher, count: int) -> Iterator[list[WorkerRecord]]:
    """Start workers that end with the context."""
    told = list(launcher.launch(bench.sweep, count))
    with _ended(launcher, told):
        yield told


@contextmanager
def _ended(launcher: Launcher, told: Sequence[WorkerRecord]) -> Iterator[None]:
    try:
        yield
    finally:
        launcher.stop(_take_latest(told))


def _take_latest(told: Sequence[WorkerRecord]) -> list[WorkerRecord]:
    return list({one.worker_id: one for one in told}.values())


def _copy(records: Sequence[WorkerRecord]) -> list[WorkerRecord]:
    return _RECORDS.validate_json(_RECORDS.dump_json(list(records)))


def _watch(launcher: Launcher, told: Sequence[WorkerRecord], holds: Callable[[], bool], what: str) -> None:
    """Wait as a driver does: it looks at its workers meanwhile."""

    def look() -> bool:
        for record in _take_latest(told):
            launcher.inspect(record)
        return holds()

    _wait(look, what)


def _wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SETTLE_LIMIT
    while not holds():
        _demand(time.monotonic() < deadline, f"{SETTLE_LIMIT:g} s were not enough for {what}")
        time.sleep(0.2)


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NonconformityError(otherwise)


def _demand_error(act: Callable[[], object], kind: type[LaunchError], otherwise: str) -> None:
    try:
        act()
    except kind:
        return
    raise NonconformityError(otherwise)

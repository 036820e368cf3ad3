"""What every launcher offers: a kind, which knows what it can do and opens launchers, and the launchers themselves."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from multistage.domain.model import Model
from multistage.domain.sweep.account import Account, TrackerKind
from multistage.domain.sweep.plan import RunOptions, RunRequest, SweepPlan, SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.workers.cost import Prices, Quote
from multistage.domain.workers.variables import is_loopback
from multistage.domain.workers.worker_records import Fee, WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.installation import Look
from multistage.options.option import Options

M = TypeVar("M", bound=BaseModel)


class Traits(Model):
    """What a launcher can do, and what it needs."""

    title: str
    """What to call where its workers are, in the middle of a sentence."""
    costs_money: bool = False
    """Whether its workers have a price, so that a sweep's cost is kept and a cap on it can be."""
    can_inspect: bool = True
    """Whether it can tell if a worker still works."""
    reaches_loopback: bool = True
    """Whether its workers reach a server that listens on this machine's 127.0.0.1."""
    reaches_network: bool = False
    """Whether those that do not reach a server that listens on an address of this machine in its network."""
    is_remote: bool = False
    """Whether they do so from another machine, where a key is to open no more than their sweep."""
    sees_files: bool = True
    """Whether its workers see this machine's files, under the same paths."""
    needs_canary: bool = False
    """Whether one worker has to prove itself, by a run's first row, before others are started."""
    can_keep: bool = False
    """Whether its workers can go on while nobody drives the sweep, for a resume to take up."""
    workers: str = "workers"
    """What it calls them, in the plural."""


class Launcher(Protocol):
    """Starts workers, and knows and ends them again by their records alone.

    A record is all that is needed, so any process may take over from the one that launched::

        with closing(LocalLauncher(folder, environment=variables)) as launcher:
            records = list(launcher.launch("local/CartPole-v1/abc123", count=2))
        # This process may be killed here; the workers live on.
        with closing(LocalLauncher(folder)) as launcher:
            adopted = [record for record in records if launcher.is_alive(record)]
            launcher.stop(adopted)

    `multistage.launchers.conformance` looks whether one keeps all this.
    """

    @property
    def traits(self) -> Traits:
        """What it can do; its kind's."""
        ...

    @property
    def fee(self) -> Fee | None:
        """What the next worker is paid; None where workers cost nothing."""
        ...

    def prepare(self) -> None:
        """Begin to make ready what workers need, in the background; `launch` does it where this was not called."""
        ...

    def launch(self, sweep: str, count: int) -> Iterable[WorkerRecord]:
        """Start workers for a sweep (``entity/project/id``); they leave by themselves when it has no more runs.

        The records come one by one as they are known, to be noted at once; a later one of the same worker replaces the
        earlier.

        Raises:
            CloudAwayError: What starts them does not answer, and may do later.
            LaunchError: They do not start.
        """
        ...

    def adopts(self, record: WorkerRecord) -> bool:
        """Whether a worker is one that this launcher would start now; a resume ends the others."""
        ...

    def is_alive(self, record: WorkerRecord) -> bool:
        """Whether the worker still works; one that cannot be asked about does."""
        ...

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """How the worker ended; None while it works, as far as is known."""
        ...

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        """End workers with every training below them, also trainings whose worker is gone already.

        Takes at most 10 s, and is harmless when repeated.

        Raises:
            LaunchError: Something survived, or could not be reached.
        """
        ...

    def explain_waiting(self, records: Sequence[WorkerRecord]) -> str:
        """Say in a clause how many of these workers wait to begin, and why; empty where none does, or nobody knows."""
        ...

    def read_failure(self, run_id: str) -> str:
        """The last lines that a training printed; empty where they are not known."""
        ...

    def read_last_words(self, record: WorkerRecord) -> str:
        """The last line that a worker printed itself; empty where it is not known."""
        ...

    def name_log(self, record: WorkerRecord) -> str:
        """Where a worker's log is, to follow "A worker's log is"."""
        ...

    def judge_training(self, error: str) -> LaunchError | None:
        """Return a failure of a sweep's first trainings that all others would share; None where it is the config's own.

        Args:
            error: What the training ended with, in a line.
        """
        ...

    def close(self) -> None:
        """Release what the launcher itself holds; its workers live on."""
        ...


@dataclass(frozen=True)
class Assignment:
    """A sweep, as its launcher is told of it."""

    settings: SweepSettings
    options: RunOptions
    logs: Path
    """Folder of the sweep's logs."""
    server: Mapping[str, str] = field(repr=False)
    """Variables that trainings need: ``WANDB_BASE_URL``, ``WANDB_API_KEY`` and more."""
    prices: Prices | None = None
    """As they were when the sweep began."""
    list_workers: Callable[[], Sequence[WorkerRecord]] = tuple
    """Returns the workers that are noted."""


class LauncherKind:
    """One way to start workers: what is registered under its name.

    Whoever adds one writes a subclass, and names it as an entry point of the group ``multistage.launchers``. What may
    be left as it is has a default here.
    """

    name: ClassVar[str]
    """As ``--launcher`` takes it, and records keep it."""
    subject: ClassVar[str]
    """What `examine` looks at, in a word or two."""
    options: ClassVar[type[Options] | None] = None
    """What its workers can be told beside the common options: flags, file and variables take them under its name, a
    flow as ``launcher_options``. Those of this project's launchers are known without it."""

    @property
    def traits(self) -> Traits:
        """What its launchers can do."""
        raise NotImplementedError

    def open(self, assignment: Assignment) -> Launcher:
        """Open a launcher that starts a sweep's workers."""
        raise NotImplementedError

    def attend(self, logs: Path) -> Launcher:
        """Open a launcher that starts nobody: it watches and ends workers by their records.

        Args:
            logs: Folder of their sweep's logs.
        """
        raise NotImplementedError

    def count_workers(self, request: SweepRequest, requested: RunRequest, is_bundled: bool) -> int:
        """Count the workers of a sweep whose user named no number.

        Args:
            request: What was asked for.
            requested: How it is to be run.
            is_bundled: Whether a bundled trainer trains.
        """
        raise NotImplementedError

    def check(self, plan: SweepPlan, options: RunOptions) -> None:
        """Refuse what cannot be done; nothing has been started then.

        Raises:
            UsageError: With the remedy.
        """

    def review(
        self, settings: SweepSettings, options: RunOptions, account: Account, environment: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Say what of the user's surroundings trainings do not get, a sentence each.

        Args:
            settings: The sweep.
            options: How it is run.
            account: The W&B server.
            environment: This process's variables, before W&B's client was used.

        Raises:
            UsageError: Runs would not reach their sweep.
        """
        return ()

    def describe(self, settings: SweepSettings, options: RunOptions) -> tuple[str, ...]:
        """Say where trainings would run, a sentence each; empty where the launcher's name says it."""
        return ()

    def reaches(self, account: Account) -> bool:
        """Whether its workers reach a sweep's W&B server."""
        if account.kind == "embedded":  # which listens in the network where its workers need it
            return self.traits.reaches_loopback or self.traits.reaches_network
        return self.traits.reaches_loopback or not is_loopback(account.base_url)

    def find_peer(self) -> str | None:
        """Find a machine on which its workers may be, to which this one is known by an address; None if unknown."""
        return None

    def needs_address(self, tracker: TrackerKind, options: RunOptions) -> bool:
        """Whether the embedded server has to listen beside 127.0.0.1: its workers are elsewhere, or it was asked for.

        Args:
            tracker: Which server the sweep has.
            options: How the sweep is run.
        """
        return tracker == "embedded" and not (self.traits.reaches_loopback and options.server_host is None)

    def fetch_prices(self) -> Prices:
        """Find out what its workers cost today; asked only of one that costs money."""
        raise NotImplementedError

    def quote(self, options: RunOptions, prices: Prices) -> Quote:
        """Return what one worker costs; called only for one that costs money."""
        raise NotImplementedError

    def examine(self) -> Iterator[Look]:
        """Look whether it could start workers here; a verdict, what was found, and the remedy.

        Raises:
            LaunchError: It could not.
        """
        yield from ()

    def examine_named(self, named: Mapping[str, Any], directory: Path) -> Iterator[Look]:
        """Look at what the settings name for its workers, such as hosts; a verdict, what was found, and the remedy.

        Args:
            named: What they set, by the names of options.
            directory: Where sweeps would be started.

        Raises:
            LaunchError: It could not start workers there.
            UsageError: The settings make no sense.
        """
        yield from ()


def read_details(kind: type[M], record: WorkerRecord) -> M:
    """Read a launcher's own part of a worker's record.

    Args:
        kind: The model of that part.
        record: The worker's.

    Raises:
        LaunchError: It is none of this launcher's.
    """
    try:
        return kind.model_validate(record.details)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise LaunchError(
            f"The record of worker {record.worker_id} is damaged at {place or 'its top'}: {first['msg']}.",
            "End that worker by hand; its sweep's state.json names it.",
        ) from error


def fill_options(kind: type[M], name: str, requested: RunRequest) -> M:
    """Fill a launcher's own options from those of a sweep: of the same name, or in the group that has its name.

    Args:
        kind: The model of its own options.
        name: The launcher's.
        requested: How the sweep is run; another package's launcher finds its own as ``launcher_options``.
    """
    flat = dict(requested)
    group = flat.get(name)
    own = {**flat, **(dict(group) if isinstance(group, BaseModel) else {}), **(requested.launcher_options or {})}
    return kind.model_validate({key: own[key] for key in kind.model_fields if key in own})

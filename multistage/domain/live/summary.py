"""The live summary of a multi-stage sweep: all that its page shows, as the process that drives it tells it.

Another release's server may show it, so it has a version. Times are seconds since 1970: a browser has the zone.
"""

from typing import Annotated, Literal

from pydantic import Field

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Goal, Value
from multistage.domain.runs.slots import RunPhase
from multistage.domain.sweep.state import CutShort, SweepStatus, Verdict

SUMMARY_VERSION: Literal[1] = 1
MAX_WORDS = 400
"""Characters of a run's error, and of other text that trainings write."""

Scale = Literal["linear", "log", "log2", "choices"]
Words = Annotated[str, Field(max_length=2000)]
Address = Annotated[str, Field(pattern="^(https?://|/[^/])", max_length=2000)]
"""Where a link leads: this server's own path, or another's whole address. Never a script's."""


class RunSummary(Model):
    """An attempt at a slot."""

    run: Annotated[str, Field(max_length=300)]
    """Its id."""
    name: str
    """Its slot's, such as ``s2-0007``."""
    stage: int
    phase: RunPhase
    value: float | None = None
    config: Config
    seed: int | None = None
    finalist: bool = False
    made: float | None = None
    began: float | None = None
    heard: float | None = None
    """Its last sign of life; of a run that has ended, its end."""
    rows: int = 0
    worker: str | None = None
    error: str = ""
    """Why it failed or was lost."""
    note: str = ""
    curve: tuple[tuple[float, float], ...] = ()
    """Rows logged, and the metric then; of runs that are being trained alone."""


class Span(Model):
    """What one stage searches of a parameter."""

    stage: int
    parts: tuple[tuple[float, float], ...]
    """Stretches of the first range as a unit interval; several only where choices are left out between others."""
    words: str
    """Such as ``0.0001..0.01``."""
    why: str = ""
    """The evidence by which it was narrowed."""


class ParameterSummary(Model):
    """A hyperparameter, and how its range closes in."""

    name: str
    scale: Scale
    extent: tuple[float, float] = (0.0, 1.0)
    """Both ends of the first range on the scale; of choices, of no meaning."""
    ends: tuple[str, str]
    """Both ends of the first range in words; of choices the first and the last."""
    choices: tuple[Value, ...] = ()
    default: float | None = None
    """Where the usual value lies in the unit interval; None where it is not known, or lies outside."""
    spans: tuple[Span, ...]
    """Of each stage whose ranges are known."""
    importance: float | None = None
    """Its share, from 0 to 1, as the last narrowing measured it."""


class StageSummary(Model):
    """Where a stage stands."""

    stage: int
    method: str
    status: Literal["to come", "running", "done"]
    runs: int
    finalists: int = 0
    used: int = 0
    running: int = 0
    queued: int = 0
    failed: int = 0
    lost: int = 0
    best: float | None = None
    began: float | None = None
    ended: float | None = None
    link: Address | None = None
    """The tracker's page of the stage's W&B sweep."""
    cut_short: CutShort | None = None


class Leader(Model):
    """The run with the best value seen: a maximum over noise."""

    run: str
    value: float
    stage: int
    config: Config


class Standing(Model):
    """What the sweep would recommend by what is known, or does recommend at its end."""

    config: Config
    mean: float
    interval: tuple[float, float]
    seeds: int
    probability: float | None = None
    """That it beats the defaults; None where that cannot be told."""
    verdict: Verdict
    told: Words
    """Whether it beats the defaults, in a sentence."""


class Wait(Model):
    """What waits, and why."""

    what: Words
    why: Words
    link: Address | None = None


class Spending(Model):
    """What the sweep has cost."""

    trained: float
    """Seconds of training in all runs."""
    in_vain: float
    """Of these, of runs that failed or were lost."""
    dollars: float | None = None
    """None where nothing is paid for."""
    most: float | None = None
    """The cost cap in dollars."""
    source: str = ""
    """By which prices."""


class Pace(Model):
    """How fast it goes."""

    runs_an_hour: float
    seconds_left: float


class LiveSummary(Model):
    """All that the page of a multi-stage sweep shows."""

    schema_version: Literal[1] = SUMMARY_VERSION
    uid: Annotated[str, Field(pattern="^[0-9a-zA-Z_-]{1,64}$")]
    name: str
    config_id: str
    status: SweepStatus
    ended_because: str | None = None
    metric: str
    goal: Goal
    search: str
    """Who proposes, in words."""
    launcher: str
    workers: int
    """Workers at once."""
    present: int | None = None
    """Those that are there now; None where nobody has looked."""
    budget: int
    used: int
    began: float
    told_at: float
    """When this was summed up."""
    stages: tuple[StageSummary, ...]
    parameters: tuple[ParameterSummary, ...]
    leader: Leader | None = None
    standing: Standing | None = None
    defaults: tuple[float, ...] = ()
    """What runs with the usual values reached."""
    baseline: Config = Field(default_factory=dict)
    """The usual values; empty where they are not known."""
    waits: tuple[Wait, ...] = ()
    warnings: tuple[Words, ...] = ()
    spending: Spending
    pace: Pace | None = None
    resume: Words = ""
    """The command that goes on with it."""
    links: dict[str, Address] = Field(default_factory=dict)
    """Pages elsewhere, by what they are."""
    run_base: Address | None = None
    """The project's page; a run's is ``/runs/ID`` below it."""
    runs: tuple[RunSummary, ...] = ()
    """Every attempt of every stage, in the order in which they were made."""

"""What a sweep's workers have cost, where their launcher has its price."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue, model_validator

from multistage.domain.model import Model
from multistage.domain.workers.worker_records import Fee


class Prices(Model):
    """A launcher's prices."""

    source: str
    """Where they are from, in words, such as a price list and its date."""
    details: dict[str, JsonValue] = Field(default_factory=dict)
    """Its launcher's own."""

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, raw: Any) -> Any:
        """Read prices of earlier releases, in which a launcher's own stood beside their source."""
        if not isinstance(raw, dict) or "details" in raw:
            return raw
        return {"source": raw.get("source"), "details": {key: value for key, value in raw.items() if key != "source"}}


class Quote(Model):
    """What a launcher asks for one worker."""

    title: str
    """Where its workers are, as a heading says it."""
    worker: str
    """What it calls one, with its article."""
    fee: Fee
    longest_run: float | None = None
    """Seconds that a run may take; None: as long as it likes."""
    start: float = 0.0
    """Seconds that are paid for before a worker's first run."""
    parts: tuple[str, ...] = ()
    """What the rate is made of, in words."""
    source: str
    """Where the prices are from."""
    remedy: str = "Raise it."
    """What to do where one worker alone is too dear."""


class StageCost(Model):
    """What the ended workers of one stage's sweep have cost."""

    sweep: str
    """``entity/project/id``."""
    stage: int | None = None
    """None until the stage is known in the state, and for what is trained outside the budget."""
    seconds: float
    """The workers' time."""
    dollars: float
    dollars_a_run: float | None = None
    """None until a run has used its slot."""


class Cost(Model):
    """What a sweep's workers have cost, by their time and the prices; the invoice may differ."""

    rates: Prices
    """As they were when the sweep began."""
    stages: tuple[StageCost, ...] = ()
    running: float = 0.0
    """Dollars of the workers that still work, up to the last look."""
    dollars: float = 0.0
    """Dollars in all."""
    dollars_a_run: float | None = None
    """Of the budget's runs; None until one has used its slot."""

    @property
    def rate(self) -> float | None:
        """Dollars a second of the workers that have ended; None before any has."""
        seconds = sum(stage.seconds for stage in self.stages)
        return self.ended / seconds if seconds else None

    @property
    def ended(self) -> float:
        """Dollars of all workers that have ended."""
        return sum(stage.dollars for stage in self.stages)

    @property
    def beside(self) -> float:
        """Dollars of the ended workers that trained outside the budget."""
        return sum(stage.dollars for stage in self.stages if stage.stage is None)

    def add(self, sweep: str, seconds: float, dollars: float) -> "Cost":
        """Add a worker that has ended."""
        before = {stage.sweep: stage for stage in self.stages}
        old = before.get(sweep, StageCost(sweep=sweep, seconds=0.0, dollars=0.0))
        before[sweep] = old.model_copy(update={"seconds": old.seconds + seconds, "dollars": old.dollars + dollars})
        return self.model_copy(update={"stages": tuple(before.values())})

    def total(self, running: Mapping[str, float], used: Mapping[str, tuple[int, int]]) -> "Cost":
        """Add everything up.

        Args:
            running: Dollars of the workers that still work, by their sweep.
            used: By the bare id of a stage's sweep: the stage, and its used slots.
        """
        stages = []
        for stage in self.stages:
            number, runs = used.get(_read_id(stage.sweep), (None, 0))
            stages.append(stage.model_copy(update={"stage": number, "dollars_a_run": _share(stage.dollars, runs)}))
        inside = sum(stage.dollars for stage in stages if stage.stage is not None)
        inside += sum(dollars for sweep, dollars in running.items() if _read_id(sweep) in used)
        at_work = sum(running.values())
        return self.model_copy(
            update={
                "stages": tuple(stages),
                "running": at_work,
                "dollars": self.ended + at_work,
                "dollars_a_run": _share(inside, sum(runs for _, runs in used.values())),
            }
        )


def _read_id(sweep: str) -> str:
    return sweep.rpartition("/")[2]


def _share(dollars: float, runs: int) -> float | None:
    return dollars / runs if runs else None

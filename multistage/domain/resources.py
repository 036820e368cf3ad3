"""What a worker in the cloud may use, and what that costs."""

from collections.abc import Mapping

from pydantic import Field

from multistage.domain.model import Model
from multistage.options.modal import Resources, name_gpu

GRACE = 60.0
"""Seconds that a container may take beyond its timeout to start and to leave; they are paid for too."""

GPU_PRICES: Mapping[str, float] = {
    "T4": 0.000164,
    "L4": 0.000222,
    "A10": 0.000306,
    "L40S": 0.000542,
    "A100-40GB": 0.000583,
    "A100-80GB": 0.000694,
    "H100": 0.001097,
    "H200": 0.001261,
}
"""Dollars a second, by Modal's price list of 2026-07-01."""

BROAD_REGION, NARROW_REGION = 1.5, 1.75
"""By so many times a container costs more where its region is chosen, such as ``us`` or ``us-east``; by Modal's
guide on regions, of the same date."""


class Rates(Model):
    """Prices in dollars a second."""

    core: float = 0.0000131
    gib: float = 0.00000222
    gpus: Mapping[str, float] = Field(default_factory=lambda: dict(GPU_PRICES))
    source: str = "Modal's price list of 2026-07-01"

    def price(self, resources: Resources) -> float:
        """Price a container; dollars a second."""
        total = resources.cpu * self.core + resources.memory * self.gib
        if resources.gpu is not None:
            name, count = name_gpu(resources.gpu)
            total += count * self.gpus[name]
        if resources.region is not None:
            total *= NARROW_REGION if "-" in resources.region else BROAD_REGION
        return total


class StageCost(Model):
    """What the ended workers of one stage's sweep have cost."""

    sweep: str
    """``entity/project/id``."""
    stage: int | None = None
    """None until the stage is known in the state, and for what is trained outside the budget."""
    seconds: float
    """Containers' time."""
    dollars: float
    dollars_a_run: float | None = None
    """None until a run has used its slot."""


class Cost(Model):
    """What a sweep's containers have cost, by their time and the rates; the invoice may differ."""

    rates: Rates
    stages: tuple[StageCost, ...] = ()
    running: float = 0.0
    """Dollars of the workers that still work, up to the last look."""
    dollars: float = 0.0
    """Dollars in all."""
    dollars_a_run: float | None = None
    """Of the budget's runs; None until one has used its slot."""

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
        for one in self.stages:
            number, runs = used.get(_read_id(one.sweep), (None, 0))
            stages.append(one.model_copy(update={"stage": number, "dollars_a_run": _share(one.dollars, runs)}))
        inside = sum(one.dollars for one in stages if one.stage is not None)
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

"""What a report is made of, and what follows from it."""

import math
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np

from multistage.domain.model import Model
from multistage.domain.results import Config, Evaluation
from multistage.domain.slots import RunRecord, evaluate_slot, settle_slots
from multistage.domain.space import SearchSpace
from multistage.domain.state import State
from multistage.search.gaussian_process import GaussianProcessSearch
from multistage.search.sobol import sample_sobol

LEAST_FOR_MODEL = 6
"""Finished runs below which nothing is said about what mattered."""
BACKGROUND = 64
"""Configs over which the other parameters' influence is averaged."""
LEVELS = 9
"""Values of a parameter at which its influence is looked at."""


class ReportRun(Model):
    """One attempt at a slot, with its times.

    Args:
        record: The run.
        started_at: When its training began; None where it never did.
        ended_at: Its last sign of life.
        worker: Who trained it; empty where that is not known.
    """

    record: RunRecord
    started_at: datetime | None = None
    ended_at: datetime | None = None
    worker: str = ""


class ReportData(Model):
    """Everything that a report shows.

    Args:
        state: The sweep.
        runs: All attempts of all stages.
        written_at: The day and time on the page.
    """

    state: State
    runs: tuple[ReportRun, ...]
    written_at: datetime

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """What the used slots have shown, by stage and index."""
        found = []
        for stage in (1, 2, 3):
            slots = settle_slots(run.record for run in self.runs if run.record.name.stage == stage)
            found += [one for slot in slots.values() if (one := evaluate_slot(stage, slot)) is not None]
        return found

    @cached_property
    def valued(self) -> list[Evaluation]:
        """The evaluations with a finite value, contenders and those stopped early."""
        return [one for one in self.evaluations if has_value(one)]

    @cached_property
    def model(self) -> GaussianProcessSearch:
        """What the evaluations make one believe; fitted once for all figures."""
        return GaussianProcessSearch(self.state.settings.space, self.state.goal, seed=0)


def has_value(evaluation: Evaluation) -> bool:
    """Whether an evaluation has a finite value."""
    return evaluation.value is not None and math.isfinite(evaluation.value)


class Influence(NamedTuple):
    """How much of the metric's believed variation one parameter explains on its own, from 0 to 1."""

    name: str
    share: float


def measure_influence(data: ReportData) -> list[Influence]:
    """Rank the parameters by their main effects on the Gaussian process's mean over the first ranges.

    The first-order indices of Sobol, "Sensitivity estimates for nonlinear mathematical models", 1993. Empty with too
    few runs to tell.
    """
    space = data.state.settings.space
    if len(data.valued) < max(LEAST_FOR_MODEL, 2 * len(space.names)):
        return []
    background = sample_sobol(space, BACKGROUND, seed=0)
    candidates: list[Config] = list(background)
    sizes = []
    for parameter in space.parameters:
        levels = parameter.grid(LEVELS)
        sizes.append(len(levels))
        candidates += [{**config, parameter.name: level} for level in levels for config in background]
    means = np.array([one.mean for one in data.model.estimate(data.evaluations, candidates)])
    total = float(np.var(means[BACKGROUND:])) or 1.0
    shares, start = [], BACKGROUND
    for parameter, size in zip(space.parameters, sizes, strict=True):
        effects = means[start : start + size * BACKGROUND].reshape(size, BACKGROUND).mean(axis=1)
        shares.append(Influence(parameter.name, min(1.0, float(np.var(effects)) / total)))
        start += size * BACKGROUND
    return sorted(shares, key=lambda one: -one.share)


class Slice(NamedTuple):
    """The Gaussian process along one parameter, the others as in one config."""

    values: list[bool | int | float | str]
    means: list[float]
    deviations: list[float]


def slice_model(data: ReportData, center: Config, name: str, points: int = 41) -> Slice:
    """Follow the model along one parameter."""
    space: SearchSpace = data.state.settings.space
    values = space[name].grid(points)
    estimates = data.model.estimate(data.evaluations, [{**center, name: value} for value in values])
    return Slice(values, [one.mean for one in estimates], [one.std for one in estimates])


class Surface(NamedTuple):
    """The Gaussian process's mean over two parameters, the others as in one config; rows follow the second."""

    first: list[bool | int | float | str]
    second: list[bool | int | float | str]
    means: list[list[float]]


def map_model(data: ReportData, center: Config, names: tuple[str, str], points: int = 25) -> Surface:
    """Spread the model over two parameters."""
    space = data.state.settings.space
    first, second = (space[name].grid(points) for name in names)
    configs = [{**center, names[0]: one, names[1]: two} for two in second for one in first]
    estimates = data.model.estimate(data.evaluations, configs)
    means = [one.mean for one in estimates]
    return Surface(first, second, [means[row * len(first) : (row + 1) * len(first)] for row in range(len(second))])


class Lane(NamedTuple):
    """What one worker trained, one run after the other."""

    name: str
    runs: list[ReportRun]


def arrange_lanes(runs: Sequence[ReportRun]) -> list[Lane]:
    """Put runs under their workers; those whose worker is not known share as few lanes as their times allow."""
    timed = sorted((run for run in runs if run.started_at and run.ended_at), key=lambda run: str(run.started_at))
    lanes: dict[str, list[ReportRun]] = {}
    for run in timed:
        name = run.worker or _find_free_lane(lanes, run)
        lanes.setdefault(name, []).append(run)
    return [Lane(name, lanes[name]) for name in lanes]


def _find_free_lane(lanes: dict[str, list[ReportRun]], run: ReportRun) -> str:
    number = 1
    while True:
        name = f"lane {number}"
        last = lanes[name][-1] if name in lanes else None
        if last is None or last.ended_at is None or run.started_at is None or last.ended_at <= run.started_at:
            return name
        number += 1


class Failure(NamedTuple):
    """Runs that ended for one reason."""

    reason: str
    phase: str
    run_ids: list[str]


def group_failures(data: ReportData) -> list[Failure]:
    """Group what failed or was lost by its first line of error, the most frequent first."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for run in data.runs:
        if run.record.phase in ("failed", "lost"):
            reason = run.record.error or "no reason was given"
            grouped.setdefault((reason, run.record.phase), []).append(run.record.run_id)
    found = [Failure(reason, phase, ids) for (reason, phase), ids in grouped.items()]
    return sorted(found, key=lambda one: -len(one.run_ids))


class Contender(NamedTuple):
    """A config that was trained more than once."""

    config: Config
    values: list[float]
    mean: float
    interval: tuple[float, float]


def list_contenders(data: ReportData) -> list[Contender]:
    """List the configs with several finished runs, the best mean first; Student's 95% interval of the mean."""
    from scipy.stats import t  # heavy, and needed only here

    grouped: dict[tuple[object, ...], list[Evaluation]] = {}
    for one in data.valued:
        if one.outcome == "finished":
            grouped.setdefault(tuple(sorted(one.config.items())), []).append(one)
    found = []
    for group in grouped.values():
        values = [float(one.value) for one in group if one.value is not None]
        if len(values) < 2:
            continue
        mean = float(np.mean(values))
        half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
        found.append(Contender(group[0].config, values, mean, (mean - half, mean + half)))
    sign = -1 if data.state.goal == "maximize" else 1
    return sorted(found, key=lambda one: sign * one.mean)

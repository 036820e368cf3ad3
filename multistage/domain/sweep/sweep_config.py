"""What a W&B sweep config asks of whoever searches it: a method, a metric, bounds on runs, early termination."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from multistage.domain.runs.results import Goal
from multistage.domain.space.distributions import SweepParameter, parse_parameters
from multistage.errors import SpaceError

Method = Literal["grid", "random", "bayes"]
METHODS = ("grid", "random", "bayes", "custom")
ENGINES = ("wandb", "optuna", "ax")
"""Engines of the client's scheduler; whoever proposes a sweep's runs this way also stops them early."""
OWN_SCHEDULER = "multistage-sweep"
"""By this name the scheduler of a sweep's config is this project itself."""
MAX_BANDS = 100
MAX_LETTERS = 1_000_000
"""Of a sweep's config."""
MAX_VALUES = 200_000
"""Of a sweep's config, with every alias written out."""
MAX_LEVELS = 100
"""Of a sweep's config, sections and lists within each other."""
MAX_ITERATION = 2**53
TOO_DEEP = f"The sweep's config is nested more than {MAX_LEVELS} levels deep."
FLATTEN = "Nest it less deeply."
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast as the other, and not in every build of PyYAML."""


@dataclass(frozen=True)
class Hyperband:
    """Early termination: at each band, only the best share of the runs that came so far goes on.

    Args:
        bands: Logged values of the metric after which runs are compared, ascending.
        eta: One in so many goes on.
        strict: Compare the value that a run had at the band; otherwise its best one up to now.

    Source: https://docs.wandb.ai/guides/sweeps/sweep-config-keys#early_terminate
    """

    bands: tuple[int, ...]
    eta: float
    strict: bool


@dataclass(frozen=True)
class SearchPlan:
    """How the server searches; ``method`` is None where a client or a scheduler of its own proposes the runs."""

    method: Method | None
    parameters: tuple[SweepParameter, ...]
    metric: str | None
    goal: Goal
    run_cap: int | None
    hyperband: Hyperband | None


def parse_config(text: str) -> dict[str, Any]:
    """Read a sweep's config from YAML, as plain JSON data: keys are texts, and dates too.

    Raises:
        SpaceError: It is no valid YAML mapping, too large, or too deep.
    """
    if len(text) > MAX_LETTERS:
        raise SpaceError(f"The sweep's config has {len(text)} characters; the limit is {MAX_LETTERS}.")
    try:
        config = make_plain(yaml.load(text, LOADER))  # noqa: S506 - both are safe ones
    except RecursionError as error:
        raise SpaceError(TOO_DEEP, FLATTEN) from error
    except (yaml.YAMLError, ValueError) as error:
        raise SpaceError(f"The sweep's config is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(config, dict):
        raise SpaceError("The sweep's config must be a mapping.", "Its keys are method, metric, parameters and so on.")
    return config


def make_plain(value: Any) -> Any:
    """Return what YAML or Python holds as JSON can hold it; what is not finite, and dates, become texts.

    Raises:
        SpaceError: It is too large, or too deep.
    """
    return _make_plain(value, MAX_VALUES, MAX_LEVELS)[0]


def _make_plain(value: Any, left: int, levels: int) -> tuple[Any, int]:
    """Return a YAML value as JSON has it, and how many more values there may be."""
    if left <= 0:
        raise SpaceError(f"The sweep's config has more than {MAX_VALUES} values.")
    if levels <= 0:
        raise SpaceError(TOO_DEEP, FLATTEN)
    left -= 1
    if isinstance(value, Mapping):
        section = {}
        for key, inner in value.items():
            section[str(key)], left = _make_plain(inner, left, levels - 1)
        return section, left
    if isinstance(value, list | tuple):
        items = []
        for inner in value:
            item, left = _make_plain(inner, left, levels - 1)
            items.append(item)
        return items, left
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value, left
    return str(value), left


def read_plan(config: Mapping[str, Any]) -> SearchPlan:
    """A sweep's config, checked.

    Raises:
        SpaceError: The config cannot be searched; one sentence says why, and one how to fix it.
    """
    method = config.get("method")
    if method not in METHODS:
        raise SpaceError(f"The sweep has the method {method!r}.", f"Known are {', '.join(METHODS)}.")
    controller = config.get("controller")
    local = isinstance(controller, Mapping) and controller.get("type") == "local"
    metric, goal = _read_metric(config)
    hyperband = read_hyperband(config.get("early_terminate"), metric)
    run_cap = config.get("run_cap")
    if run_cap is not None and (not isinstance(run_cap, int) or isinstance(run_cap, bool) or run_cap < 1):
        raise SpaceError(f"The sweep has the run_cap {run_cap!r}.", "It must be a whole number above 0.")
    scheduler = config.get("scheduler")
    if local or (isinstance(scheduler, Mapping) and scheduler.get("engine") in ENGINES):
        hyperband = None
    if method == "custom" or local or scheduler:
        return SearchPlan(None, (), metric, goal, run_cap, hyperband)
    parameters = tuple(parse_parameters(config.get("parameters")))
    if method == "grid":
        for parameter in parameters:
            if not parameter.values:
                raise SpaceError(
                    f"The grid has the parameter {parameter.name}, which is continuous.",
                    "Give it `values`, use a quantized distribution, or the method `random` or `bayes`.",
                )
    if method == "bayes" and metric is None:
        raise SpaceError("A bayes sweep needs a metric.", "Give it `metric: {name: ..., goal: ...}`.")
    return SearchPlan(method, parameters, metric, goal, run_cap, hyperband)


def count_planned(config: Mapping[str, Any]) -> int | None:
    """Count the runs that this project plans to queue in a sweep; None where it plans none, as its config tells."""
    match config.get("scheduler"):
        case {"name": str(name), "runs": int(runs)} if name == OWN_SCHEDULER:
            return runs
        case _:
            return None


def _read_metric(config: Mapping[str, Any]) -> tuple[str | None, Goal]:
    metric = config.get("metric")
    if metric is None:
        return None, "minimize"
    if not isinstance(metric, Mapping) or not isinstance(metric.get("name"), str):
        raise SpaceError(f"The sweep has the metric {metric!r}.", "Write `metric: {name: ..., goal: ...}`.")
    goal = metric.get("goal", "minimize")
    if goal not in ("maximize", "minimize"):
        raise SpaceError(f"The metric has the goal {goal!r}.", "Write `maximize` or `minimize`.")
    return metric["name"], goal


def read_hyperband(spec: Any, metric: str | None) -> Hyperband | None:
    """Read a sweep's ``early_terminate``; None where it has none.

    Raises:
        SpaceError: If it makes no sense, or there is no metric to compare runs by.
    """
    if spec is None:
        return None
    if not isinstance(spec, Mapping) or spec.get("type") != "hyperband":
        raise SpaceError(f"The sweep has early_terminate {spec!r}.", "Write `type: hyperband`.")
    if metric is None:
        raise SpaceError("Early termination needs a metric.", "Give the sweep `metric: {name: ..., goal: ...}`.")
    eta = spec.get("eta", 3)
    if not isinstance(eta, int | float) or isinstance(eta, bool) or not 1 < eta < 1e6:
        raise SpaceError(f"Hyperband has eta {eta!r}.", "It must be above 1.")
    if "min_iter" in spec:
        first = _read_count("min_iter", spec["min_iter"])
        bands = _list_bands(first, lambda band: band * eta, MAX_BANDS)
    elif "max_iter" in spec:
        last = _read_count("max_iter", spec["max_iter"])
        brackets = min(_read_count("s", spec.get("s")), MAX_BANDS)
        bands = _list_bands(last / eta, lambda band: band / eta, brackets)
        if not bands:
            raise SpaceError(
                f"Hyperband has max_iter {last} and eta {eta}, and no iteration between.", "Give it a larger max_iter."
            )
    else:
        raise SpaceError("Hyperband has neither min_iter nor max_iter.", "Give it `min_iter`, or `max_iter` and `s`.")
    return Hyperband(bands, float(eta), bool(spec.get("strict", False)))


def _list_bands(first: float, go_on: Callable[[float], float], count: int) -> tuple[int, ...]:
    bands = set[int]()
    band = first
    for _ in range(count):
        if not 1 <= band < MAX_ITERATION:
            break
        bands.add(int(band))
        band = go_on(band)
    return tuple(sorted(bands))


def _read_count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpaceError(f"Hyperband has {name} {value!r}.", "It must be a whole number above 0.")
    return value

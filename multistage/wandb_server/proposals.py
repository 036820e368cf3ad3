"""The server's own search: which config a grid, random or bayes sweep tries next."""

import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

from multistage.domain.runs.metric import read_metric
from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.choices import write_key
from multistage.domain.space.distributions import SweepParameter
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.sweep_config import SearchPlan
from multistage.wandb_server.lifecycle import LIVE_STATES
from multistage.wandb_server.run_values import read_number, unwrap_values
from multistage.wandb_server.store import Row, Store

Proposal = dict[str, Any]

MISSING = object()
MAX_RANGE = 10_000
"""Integer ranges up to this size are searched as integers; larger ones as a continuum."""


class SweepSearch:
    """The search of one sweep; follows the sweep's runs by what changed.

    Args:
        store: Where the runs are.
        sweep: The sweep's row.
        plan: Its config, read.
    """

    def __init__(self, store: Store, sweep: Row, plan: SearchPlan) -> None:
        self.plan = plan
        self.config: str = sweep["config"]
        self._store = store
        self._sweep = (sweep["project_id"], sweep["name"])
        self._sweep_id: int = sweep["id"]
        self._cursor = 0
        self._tried: set[str] = set()
        self._points: dict[int, Config] = {}
        self._results: dict[int, Evaluation] = {}
        self._grid = self._walk_grid()
        self._bayes: Any = None

    def refresh(self) -> None:
        """Take in the runs that changed since the last time."""
        prior = []
        if self._cursor == 0:
            prior = self._store.all(
                "SELECT runs.* FROM prior_runs JOIN runs ON runs.id = prior_runs.run_id WHERE sweep_id = ?",
                (self._sweep_id,),
            )
        changed = self._store.all(
            "SELECT * FROM runs WHERE project_id = ? AND sweep = ? AND heartbeat_at > ? ORDER BY heartbeat_at",
            (*self._sweep, self._cursor),
        )
        if changed:
            self._cursor = changed[-1]["heartbeat_at"]
        for run in (*prior, *changed):
            self._take_in(run)

    def _take_in(self, run: Row) -> None:
        # What it was handed out with: a script may write anything into its run's config.
        config = unwrap_values(json.loads(run["queued_config"] or run["config"]))
        values = [_look_up(config, parameter.path) for parameter in self.plan.parameters]
        if MISSING in values:
            return
        self._tried.add(_key(values))
        if self.plan.method != "bayes":
            return
        point = self._to_point(values)
        if point is None:
            return
        if run["state"] in LIVE_STATES:
            self._points[run["id"]] = point
            return
        self._points.pop(run["id"], None)
        value = read_number(read_metric(json.loads(run["summary"]), self.plan.metric or "", self.plan.goal))
        broken = run["state"] in ("failed", "crashed") or value is None
        self._results[run["id"]] = Evaluation(
            stage=1,
            index=run["id"],
            config=point,
            outcome="failed" if broken else "stopped" if run["stop_requested"] else "finished",
            value=value,
        )

    def propose(self) -> Proposal | None:
        """The next config, nested as the sweep's parameters are; None where a grid is exhausted.

        Touches nothing but what :meth:`refresh` took in: it may run in a thread.
        """
        match self.plan.method:
            case "grid":
                values = next((point for point in self._grid if _key(list(point)) not in self._tried), None)
                if values is None:
                    return None
                self._tried.add(_key(list(values)))
            case "bayes":
                values = self._propose_bayes()
            case _:
                values = tuple(parameter.pick(random.random()) for parameter in self.plan.parameters)  # noqa: S311
        return _nest(self.plan.parameters, values)

    def _walk_grid(self) -> Iterator[tuple[Any, ...]]:
        return itertools.product(*(parameter.values for parameter in self.plan.parameters))

    def _propose_bayes(self) -> tuple[Any, ...]:
        from multistage.search.gaussian_process import GaussianProcessSearch

        swept = [parameter for parameter in self.plan.parameters if _is_swept(parameter)]
        point: Config = {}
        if swept:
            if self._bayes is None:
                space = SearchSpace(parameters=tuple(_to_dimension(parameter) for parameter in swept))
                self._bayes = GaussianProcessSearch(space, self.plan.goal, self._sweep_id)
                self._space = space
            evaluations = [self._results[run_id] for run_id in sorted(self._results)]
            [point] = self._bayes.propose(self._space, evaluations, list(self._points.values()), 1)
        return tuple(
            _from_dimension(parameter, point[parameter.name]) if _is_swept(parameter) else parameter.values[0]
            for parameter in self.plan.parameters
        )

    def _to_point(self, values: list[Any]) -> Config | None:
        point: Config = {}
        for parameter, value in zip(self.plan.parameters, values, strict=True):
            if not _is_swept(parameter):
                continue
            place = _locate(parameter, value)
            if place is None:
                return None
            point[parameter.name] = place
        return point


def _is_swept(parameter: SweepParameter) -> bool:
    return len(parameter.values) != 1


def _to_dimension(parameter: SweepParameter) -> Parameter:
    if not parameter.is_range:
        return CategoricalParameter(name=parameter.name, choices=tuple(range(len(parameter.values))))
    if parameter.values and len(parameter.values) <= MAX_RANGE:
        return IntParameter(name=parameter.name, low=0, high=len(parameter.values) - 1)
    return FloatParameter(name=parameter.name, low=0.0, high=1.0)


def _from_dimension(parameter: SweepParameter, value: Any) -> Any:
    if not parameter.is_range or (parameter.values and len(parameter.values) <= MAX_RANGE):
        return parameter.values[int(value)]
    return parameter.pick(float(value))


def _locate(parameter: SweepParameter, value: Any) -> float | int | None:
    if not parameter.is_range:
        # By what is written: 1 and true are two values.
        written = write_key(value)
        return next((place for place, known in enumerate(parameter.values) if write_key(known) == written), None)
    value = read_number(value)
    if value is None or parameter.place is None:
        return None
    if parameter.values and len(parameter.values) <= MAX_RANGE:
        return min(range(len(parameter.values)), key=lambda index: abs(parameter.values[index] - value))
    return min(max(parameter.place(value), 0.0), 1.0)


def _look_up(config: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(config, dict) or part not in config:
            return MISSING
        config = config[part]
    return config


def _nest(parameters: tuple[SweepParameter, ...], values: tuple[Any, ...]) -> Proposal:
    config: dict[str, Any] = {}
    for parameter, value in zip(parameters, values, strict=True):
        inner = config
        for part in parameter.path[:-1]:
            inner = inner.setdefault(part, {})
        inner[parameter.path[-1]] = value
    return config


def _key(values: list[Any]) -> str:
    return ",".join(map(write_key, values))

"""``--search optuna:tpe``: Optuna's samplers, by name, in place of this project's Gaussian process.

A sweep can be killed at any moment, so a study is built anew from the evidence for each question. Samplers that keep a
state of their own between the questions (CMA-ES, NSGA-II, quasi-random sequences) would forget it, and are not here.
"""

import importlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from multistage.domain.runs.results import Config, Evaluation, Value
from multistage.domain.space.multiples import quantize
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
)
from multistage.domain.space.search_space import SearchSpace
from multistage.errors import MissingExtraError, UsageError
from multistage.search.multistage import StagedSearch
from multistage.search.targets import Targets


class _Sampler(NamedTuple):
    name: str
    """Of Optuna's class."""
    options: Mapping[str, bool] = MappingProxyType({})
    needs: tuple[str, ...] = ("optuna",)


SAMPLERS: Mapping[str, _Sampler] = MappingProxyType(
    {
        "tpe": _Sampler("TPESampler", {"multivariate": True, "constant_liar": True}),
        "gp": _Sampler("GPSampler", {"deterministic_objective": False}, ("optuna", "torch")),
        "random": _Sampler("RandomSampler"),
    }
)
"""By variant: those that need nothing but the evidence, told of pending runs, and that trainings are noisy."""


class OptunaSearcher(StagedSearch):
    """Suggests what a sampler of Optuna draws in the box, given the runs in it."""

    @classmethod
    def check(cls, variant: str) -> None:
        """Refuse a sampler that there is not, or whose package is not installed.

        Raises:
            UsageError: There is no such sampler.
            MissingExtraError: Its package is not installed.
        """
        known = ", ".join(f"optuna:{name}" for name in SAMPLERS)
        if variant not in SAMPLERS:
            told = f"There is no --search optuna:{variant}." if variant else "--search optuna names no sampler."
            raise UsageError(told, f"There are {known}.")
        lacking = [name for name in SAMPLERS[variant].needs if importlib.util.find_spec(name) is None]
        if lacking:
            raise MissingExtraError(
                f"--search optuna:{variant} needs the package {' and '.join(lacking)}, which is not installed.",
                "Install the extra: pip install 'multistage-sweep[optuna]'",
            )

    def suggest(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> Sequence[Config]:
        """Suggest configs by a study of the runs in the box; failed ones count as the worst, as they do elsewhere."""
        for package in SAMPLERS[self.variant].needs:  # before its threads are counted
            importlib.import_module(package)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it tells of every study that is made
        dimensions = {parameter.name: _distribute(parameter) for parameter in box.parameters}
        with threadpool_limits(limits=1), warnings.catch_warnings():  # the cores train
            warnings.simplefilter("ignore")  # and calls some of this experimental
            seed = self._derive_seed(len(evaluations), len(pending))
            study = optuna.create_study(direction="maximize", sampler=self._make_sampler(seed))
            study.add_trials(self._tell(box, evaluations, pending, dimensions))
            return [_read(box, study.ask(dimensions).params) for _ in range(count)]

    def _make_sampler(self, seed: int) -> Any:
        import optuna

        sampler = SAMPLERS[self.variant]
        return getattr(optuna.samplers, sampler.name)(seed=seed, **sampler.options)

    def _tell(
        self,
        box: SearchSpace,
        evaluations: Sequence[Evaluation],
        pending: Sequence[Config],
        dimensions: Mapping[str, Any],
    ) -> list[Any]:
        from optuna.trial import TrialState, create_trial

        inside = [evaluation for evaluation in evaluations if box.contains(evaluation.config)]
        targets = Targets(inside, self.problem.goal)
        ended = zip(inside, targets.values, strict=True) if targets.known else ()
        return [
            create_trial(params=_place(box, evaluation.config), distributions=dict(dimensions), value=float(value))
            for evaluation, value in ended
        ] + [
            create_trial(params=_place(box, config), distributions=dict(dimensions), state=TrialState.RUNNING)
            for config in pending
            if box.contains(config)
        ]

    def _derive_seed(self, *numbers: int) -> int:
        return int(np.random.SeedSequence([abs(self.problem.seed), *numbers]).generate_state(1)[0])


def _distribute(parameter: Parameter) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match parameter:
        case CategoricalParameter():  # by place: to Optuna `1` and `True` are one choice
            return CategoricalDistribution(tuple(range(len(parameter.choices))))
        case PowerOfTwoParameter():
            return IntDistribution(parameter.low.bit_length() - 1, parameter.high.bit_length() - 1)
        case IntParameter(scale="linear"):
            return IntDistribution(parameter.low, parameter.high)
        case FloatParameter(scale="linear", size=int() as size):
            return IntDistribution(0, size - 1)
        case _:  # on its own scale
            return FloatDistribution(*parameter.extent)


def _place(box: SearchSpace, config: Config) -> dict[str, float | int]:
    return {parameter.name: _locate(parameter, config[parameter.name]) for parameter in box.parameters}


def _locate(parameter: Parameter, value: Value) -> float | int:
    match parameter:
        case CategoricalParameter():
            return parameter.choices.index(value)
        case PowerOfTwoParameter():
            return int(value).bit_length() - 1
        case IntParameter(scale="linear"):
            return int(value)
        case FloatParameter(scale="linear", size=int()):
            return round((float(value) - parameter.low) / parameter.step) if parameter.step else 0
        case _:
            start, end = parameter.extent
            return min(max(parameter.to_scale(value), start), end)


def _read(box: SearchSpace, places: Mapping[str, Any]) -> Config:
    return {parameter.name: _pick(parameter, places[parameter.name]) for parameter in box.parameters}


def _pick(parameter: Parameter, place: float | int) -> Value:
    match parameter:
        case CategoricalParameter():
            return parameter.choices[int(place)]
        case FloatParameter(scale="linear", size=int()):
            return quantize(parameter.low + place * parameter.step, parameter.step) if parameter.step else parameter.low
        case _:
            return parameter.from_scale(float(place))

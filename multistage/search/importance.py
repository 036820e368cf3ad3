"""Which hyperparameters matter: how far the best configs' values differ from those of all configs.

Measured by Optuna's PED-ANOVA (Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter
Importance in Arbitrary Subspaces", 2023), and held against the same measure where values and configs are dealt out
anew: what chance alone shows is no importance.

Only runs of stage 1 count, which were spread evenly before anything was known. Later runs crowd where the search
looked, so that the best of them differ from all least in what matters most: in simulated sweeps of 150 runs over four
hyperparameters, all runs together named the one without any effect first in 7 of 8, stage 1's never.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multistage.domain.runs.results import Evaluation, Goal
from multistage.domain.runs.selection import rank
from multistage.domain.space.narrowing import Importance
from multistage.domain.space.parameters import CategoricalParameter, IntParameter, Parameter
from multistage.domain.space.search_space import SearchSpace

BEST = 0.25
"""Part of the runs that count as the best; of a tenth, what matters was found less often."""
FEWEST = 12
"""Finished runs below which nothing is said: the best quarter would be one or two."""
MOST = 500
"""Runs that are looked at; of more, as many evenly by rank, so that a large sweep's importances take a second, too."""
SHUFFLES = 19
"""Deals of chance; above all of them is a chance of 1 in 20."""


def measure_importance(
    space: SearchSpace, evaluations: Sequence[Evaluation], goal: Goal, seed: int = 0
) -> Mapping[str, Importance]:
    """How much each hyperparameter decides whether a config is among the best quarter.

    Args:
        space: What is searched; hyperparameters with one value have no part.
        evaluations: Used slots; those of stage 1 that finished with a finite value within the space count.
        goal: Whether more is better.
        seed: Of the deals of chance.

    Returns:
        By name, the most important first; empty with fewer than `FEWEST` runs, or where all values are equal.
    """
    runs = [run for run in rank(evaluations, goal) if run.stage == 1 and space.contains(run.config)]
    runs = [runs[index] for index in np.linspace(0, len(runs) - 1, min(len(runs), MOST)).astype(int)]
    varied = [parameter for parameter in space.parameters if parameter.size != 1]
    places = np.arange(len(runs), dtype=np.float64)
    if len(runs) < FEWEST or not varied or runs[0].value == runs[-1].value:
        return {}
    evaluator = _Evaluator(varied, runs)
    found = evaluator.evaluate(places)
    random = np.random.default_rng(seed)
    chance = [evaluator.evaluate(random.permutation(places)) for _ in range(SHUFFLES)]
    total = sum(found.values()) or 1.0
    return {
        name: Importance(share=found[name] / total, matters=found[name] > max(one[name] for one in chance))
        for name in sorted(found, key=lambda name: -found[name])
    }


class _Evaluator:
    """Optuna's, with a study of the runs that is made once for all deals: making it costs most."""

    def __init__(self, parameters: Sequence[Parameter], runs: Sequence[Evaluation]) -> None:
        # Imported here: a third of a second, needed once a stage.
        import optuna
        from optuna.importance import PedAnovaImportanceEvaluator

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it tells of every study that is made
        distributions = {parameter.name: _distribute(parameter) for parameter in parameters}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # and calls some of this experimental
            self._evaluator = PedAnovaImportanceEvaluator(target_quantile=BEST)
            self._study = optuna.create_study(storage=None, study_name="importance")
            self._study.add_trials(
                optuna.trial.create_trial(
                    params={parameter.name: _place(parameter, run) for parameter in parameters},
                    distributions=distributions,
                    value=0.0,
                )
                for run in runs
            )

    def evaluate(self, losses: NDArray[np.float64]) -> Mapping[str, float]:
        """How far the runs of the lowest losses differ from all, by parameter; a loss a run."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._evaluator.evaluate(self._study, target=lambda trial: float(losses[trial.number]))


def _distribute(parameter: Parameter) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match parameter:
        case CategoricalParameter():
            return CategoricalDistribution(tuple(range(len(parameter.choices))))
        case IntParameter() if parameter.scale == "linear":
            return IntDistribution(parameter.low, parameter.high)
        case _:  # on its own scale: logarithms of either base, and exponents
            return FloatDistribution(*parameter.extent)


def _place(parameter: Parameter, run: Evaluation) -> float | int:
    value = run.config[parameter.name]
    if isinstance(parameter, CategoricalParameter):
        return parameter.choices.index(value)
    if isinstance(parameter, IntParameter) and parameter.scale == "linear":
        return int(value)
    return parameter.to_scale(value)

"""The search benchmark's peers that use training lengths: they stop runs early, or begin with short ones.

A peer's package is imported where it is used; `make bench-env` brings them all.
"""

# ruff: noqa: D102 - `Stepper` says what its methods are for
# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"

import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from search_curves import LEVELS
from search_seconds import Job, Run, Stepper
from search_translations import fit_config, raise_exponents, to_optuna, to_smac

from multistage.domain.space.search_space import SearchSpace

ETA = 3
"""By what the peers that halve reduce the number of runs, at 1, 3 and 9 or 10 levels: the usual factor."""


class OptunaHyperband(Stepper):
    """Optuna's multivariate TPE with its Hyperband pruner."""

    def make_pruner(self) -> Any:
        """The pruner."""
        import optuna

        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=LEVELS, reduction_factor=ETA)

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        import optuna

        super().__init__(space, budget, seed)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed)
        # The Hyperband pruner deals brackets by the study's name.
        self._study = optuna.create_study(
            study_name=f"seed {seed}", direction="maximize", sampler=sampler, pruner=self.make_pruner()
        )
        self._distributions = {parameter.name: to_optuna(parameter) for parameter in space.parameters}
        self._asked: dict[int, Any] = {}

    def ask(self, index: int, room: int) -> Job | None:
        del room
        self._asked[index] = asked = self._study.ask(self._distributions)
        return Job(fit_config(self.space, raise_exponents(self.space, asked.params)))

    def watch(self, run: Run) -> bool:
        asked = self._asked[run.index]
        asked.report(run.values[-1], len(run.values))
        return not asked.should_prune()

    def settle(self, run: Run) -> None:
        from optuna.trial import TrialState

        if run.stopped:
            self._study.tell(self._asked[run.index], state=TrialState.PRUNED)
        else:
            self._asked[run.index].report(run.values[-1], len(run.values))
            self._study.tell(self._asked[run.index], run.values[-1])


class OptunaMedian(OptunaHyperband):
    """The same with the median pruner as it is by default, from a third of the length on."""

    def make_pruner(self) -> Any:
        import optuna

        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=LEVELS // 3)


class Asha(Stepper):
    """Syne Tune's asynchronous successive halving over random configs, which stops runs and resumes none."""

    searcher = "random_search"

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        from syne_tune.config_space import uniform
        from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving

        super().__init__(space, budget, seed)
        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        np.random.seed(seed)
        self._scheduler = AsynchronousSuccessiveHalving(
            {f"x{place}": uniform(0, 1) for place in range(len(space))},
            metric="value",
            do_minimize=False,
            searcher=self.searcher,
            time_attr="level",
            max_t=LEVELS,
            grace_period=1,
            reduction_factor=ETA,
            random_seed=seed,
        )
        self._trials: dict[int, Any] = {}

    def ask(self, index: int, room: int) -> Job | None:
        from datetime import datetime

        from syne_tune.backend.trial_status import Trial as Theirs

        del room
        asked = self._scheduler.suggest().config
        self._trials[index] = Theirs(trial_id=index, config=asked, creation_time=datetime.min)
        self._scheduler.on_trial_add(self._trials[index])
        return Job(self.space.from_unit([asked[f"x{place}"] for place in range(len(self.space))]))

    def watch(self, run: Run) -> bool:
        told = {"value": run.values[-1], "level": len(run.values)}
        return bool(self._scheduler.on_trial_result(self._trials[run.index], told) == "CONTINUE")

    def settle(self, run: Run) -> None:
        if not run.stopped:
            told = {"value": run.values[-1], "level": len(run.values)}
            self._scheduler.on_trial_result(self._trials[run.index], told)
            self._scheduler.on_trial_complete(self._trials[run.index], told)


class AshaKde(Asha):
    """The same with kernel densities in place of chance, as BOHB has them."""

    searcher = "kde"


class SmacFidelity(Stepper):
    """SMAC3's multi-fidelity facade, told that trainings are noisy; a config that it asks for again goes on."""

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        from smac import MultiFidelityFacade, Scenario

        super().__init__(space, budget, seed)
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            to_smac(space),
            deterministic=False,
            n_trials=budget * LEVELS,
            min_budget=1,
            max_budget=LEVELS,
            seed=seed,
            output_directory=Path(self._folder.name),
        )
        self._smac = MultiFidelityFacade(scenario, _refuse, overwrite=True, logging_level=False)
        self._open: dict[int, Any] = {}
        self._known: dict[Any, int] = {}

    def ask(self, index: int, room: int) -> Job | None:
        del room
        asked = self._smac.ask()
        resumed = self._known.setdefault((asked.config, asked.seed), index)
        self._open[resumed] = asked
        config = fit_config(self.space, raise_exponents(self.space, dict(asked.config)))
        level = min(LEVELS, math.floor(asked.budget))
        return Job(config, level, None if resumed == index else resumed)

    def settle(self, run: Run) -> None:
        from smac.runhistory import TrialValue

        self._smac.tell(self._open.pop(run.index), TrialValue(cost=-run.values[-1]), save=False)


class Dehb(Stepper):
    """DEHB, in the unit cube; each of its jobs is a training of its own."""

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        from dehb import DEHB
        from loguru import logger

        super().__init__(space, budget, seed)
        logger.disable("dehb")
        logger.remove()
        self._folder = tempfile.TemporaryDirectory()
        self._dehb = DEHB(
            f=_refuse,
            dimensions=len(space),
            configspace=False,
            min_fidelity=1,
            max_fidelity=LEVELS,
            eta=ETA,
            seed=seed,
            n_workers=1,
            save_freq="end",
            output_path=self._folder.name,
        )
        self._open: dict[int, Any] = {}

    def ask(self, index: int, room: int) -> Job | None:
        del room
        self._open[index] = asked = self._dehb.ask()
        level = min(LEVELS, max(1, math.floor(asked["fidelity"])))
        return Job(self.space.from_unit(np.clip(asked["config"], 0, 1)), level)

    def settle(self, run: Run) -> None:
        told = {"fitness": -run.values[-1], "cost": float(len(run.values))}
        self._dehb.tell(self._open.pop(run.index), told)


class Neps(Stepper):
    """NePS' PriorBand in the unit cube, with its centre for the prior; configs go on."""

    centred = True

    def make_optimizer(self, space: Any) -> Any:
        """The algorithm."""
        from neps import algorithms

        return algorithms.priorband(space, eta=ETA)

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        import neps
        import torch
        from neps.optimizers.ask_and_tell import AskAndTell

        super().__init__(space, budget, seed)
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        np.random.seed(seed)
        prior = {"prior": 0.5, "prior_confidence": "low"} if self.centred else {}
        described = {f"x{place}": neps.HPOFloat(lower=0, upper=1, **prior) for place in range(len(space))}
        described["level"] = neps.HPOInteger(lower=1, upper=LEVELS, is_fidelity=True)
        self._neps = AskAndTell(self.make_optimizer(neps.SearchSpace(described)))
        self._open: dict[int, Any] = {}
        self._known: dict[str, int] = {}

    def ask(self, index: int, room: int) -> Job | None:
        del room
        asked = self._neps.ask()
        resumed = self._known.setdefault(asked.metadata.id.partition("_")[0], index)
        self._open[resumed] = asked
        config = self.space.from_unit([float(asked.config[f"x{place}"]) for place in range(len(self.space))])
        return Job(config, int(asked.config["level"]), None if resumed == index else resumed)

    def settle(self, run: Run) -> None:
        self._neps.tell(self._open.pop(run.index), -run.values[-1])


class NepsFreezeThaw(Neps):
    """NePS' ifBO, whose transformer predicts curves."""

    centred = False

    def make_optimizer(self, space: Any) -> Any:
        from neps import algorithms

        return algorithms.ifbo(space)


PRUNERS: Mapping[str, Callable[[SearchSpace, int, int], Stepper]] = {
    "tpe-hyperband": OptunaHyperband,
    "tpe-median": OptunaMedian,
    "asha": Asha,
    "asha-kde": AshaKde,
    "smac-mf": SmacFidelity,
    "dehb": Dehb,
    "priorband": Neps,
    "ifbo": NepsFreezeThaw,
}
SLOW_PRUNERS = ("smac-mf", "priorband", "ifbo")
"""Those of over 0.2 s a suggestion, which are run up to 150 whole trainings' worth of time."""


def _refuse(config: Any, seed: int = 0, budget: float = 0.0) -> float:
    raise NotImplementedError("peers are asked and told, and train nothing themselves")

"""The finalists' race: contenders trained again on fresh seeds, and the config that a sweep stands for.

The best value of many noisy runs is high partly by luck. What is believed of a contender starts from Gaussian
processes that were not shown the race, and is corrected by the race's own runs: a shrunken mean, which luck cannot
lift far. The interval and the chance to be better than the defaults are read off the same draws from that belief.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Evaluation, Goal
from multistage.domain.runs.selection import rank
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.state import Verdict
from multistage.search.encoding import Encoder
from multistage.search.gaussian_process import GaussianProcessSearch
from multistage.search.sobol import Key, key_of
from multistage.search.surrogate import Vector

CONTENDERS = 10
"""Configs that race, the trainer's defaults apart."""
DEFAULTS_RUNS = 3
"""Runs that the trainer's defaults get at least, with a race of eight and more; of a shorter one a third of its runs,
rounded. Those of the search count: the defaults were not chosen for their luck. Without them no gain can be claimed."""

DOUBT = 0.4
"""Standard deviations of the difference by which a config has to be ahead of the defaults. Somebody chose those: they
are better than the processes, for which they are a point like others, take them for. From twelve tables of trainings;
each shown with the figure of the others in `benchmarks/RESULTS.md`."""
SURE = 0.9
"""Probability from which an improvement on the defaults is claimed."""
ALIKE = 1e-3
"""Part of every range within which two configs are the same to a reader: towards the end a search often returns to the
best one's very neighbourhood."""
TAILS = (0.025, 0.975)
"""Ends of the interval that is told."""
_SMALLEST = 1e-12
"""Variance below which values count as exact."""
_LARGEST = 1e100
"""Value beyond which all count as the same; its square is still a number."""


class Recommendation(Model):
    """The config that the sweep stands for, and what is believed of it."""

    config: Config
    mean: float
    """Believed true value: what many runs of this config would average to."""
    interval: tuple[float, float]
    """95% of the belief."""
    seeds: int
    """Runs of exactly this config that finished with a finite value."""
    probability_better_than_defaults: float | None
    """Of its true value against that of the trainer's defaults; None where those were not trained, 0 where it is
    them."""
    verdict: Verdict
    """What that probability allows to say."""


class _Belief(NamedTuple):
    """What is believed about one config's true value, more being better."""

    config: Config
    mean: float
    guess: float
    """The fitted process' own mean, which chooses where nothing raced: measured, the ensemble's chose no better."""
    variance: float
    noise: float
    """Variance of a single run."""
    draws: Vector
    """Draws from the belief; the same place in two configs' is one draw from both."""
    seen: float
    """The highest value of its runs; minus infinity where none has one."""
    seeds: int
    searched: int
    raced: int


class FinalistRace:
    """Chooses which contender to train next, and recommends.

    Args:
        model: Believes something of every config before the race.
        first: The space that the user asked for.
        defaults: The trainer's own values of the swept parameters; None where they are not known.
        goal: Whether more is better.
    """

    def __init__(self, model: GaussianProcessSearch, first: SearchSpace, defaults: Config | None, goal: Goal) -> None:
        self._model = model
        self._encoder = Encoder(first)
        self._defaults = defaults
        self._goal: Goal = goal
        self._sign = 1.0 if goal == "maximize" else -1.0

    def propose(
        self, evaluations: Sequence[Evaluation], pending: Sequence[Config], remaining: int, count: int
    ) -> list[Config]:
        """Contenders to train next, each on a seed of its own.

        Each is the one whose next run is expected to lift the best believed value most (the knowledge
        gradient; Frazier, Powell and Dayanik, 2008), after the defaults had their runs.

        Args:
            evaluations: All used slots, those of the race marked as finalists.
            pending: The race's configs that are queued or running.
            remaining: Runs that the race has left.
            count: How many to propose at most.
        """
        beliefs = self._believe(evaluations)
        if not beliefs:
            return []
        open_runs = Counter(key_of(config) for config in pending)
        chosen: list[Config] = []
        while len(chosen) < min(count, remaining):
            config = self._choose(beliefs, open_runs, remaining - len(chosen))
            open_runs[key_of(config)] += 1
            chosen.append(config)
        return chosen

    def recommend(self, evaluations: Sequence[Evaluation]) -> Recommendation | None:
        """The contender with the highest believed value; None where nothing finished with a finite value."""
        beliefs = self._believe(evaluations)
        if not beliefs:
            return None
        best = self._choose_best(beliefs)
        low, high = sorted(self._sign * float(end) for end in np.quantile(best.draws, TAILS))
        better = self._compare(best, beliefs)
        return Recommendation(
            config=best.config,
            mean=min(max(self._sign * best.mean, low), high),
            interval=(low, high),
            seeds=best.seeds,
            probability_better_than_defaults=better,
            verdict=_judge(better, best.config == self._defaults),
        )

    def _choose_best(self, beliefs: list[_Belief]) -> _Belief:
        """The highest believed of those that raced, and of the defaults; without a race the model's own best."""
        known = [belief for belief in beliefs if belief.raced or (belief.config == self._defaults and belief.seeds)]
        if any(belief.config != self._defaults for belief in known):
            return max(known, key=lambda belief: belief.mean)
        # Defaults that were trained alone have beaten nobody.
        trained = [belief for belief in beliefs if belief.seeds]
        best = max(trained, key=lambda belief: belief.guess)
        return best if best.config == self._defaults else max(self._list_alike(best, trained), key=lambda b: b.seen)

    def _list_alike(self, best: _Belief, others: Sequence[_Belief]) -> list[_Belief]:
        """The best and whatever a reader could not tell from it, the defaults apart."""
        rows = self._encoder.encode([belief.config for belief in others])
        gaps = np.abs(rows - self._encoder.encode([best.config])).max(axis=1)
        return [
            belief for belief, gap in zip(others, gaps, strict=True) if gap <= ALIKE and belief.config != self._defaults
        ]

    def _choose(self, beliefs: list[_Belief], open_runs: Counter[Key], remaining: int) -> Config:
        runs = sum(belief.raced for belief in beliefs) + open_runs.total() + remaining
        for belief in beliefs:
            done = belief.searched + belief.raced + open_runs[key_of(belief.config)]
            if belief.config == self._defaults and done < min(DEFAULTS_RUNS, (runs + 1) // 3):
                return belief.config
        if len(beliefs) == 1:
            return beliefs[0].config
        means = np.array([belief.mean for belief in beliefs])
        noises = np.array([belief.noise for belief in beliefs])
        # A run under way will have narrowed the belief by the time the next one starts.
        variances = np.array([1 / (1 / b.variance + open_runs[key_of(b.config)] / b.noise) for b in beliefs])
        steps = variances / np.sqrt(variances + noises)
        others = np.array([np.delete(means, index).max(initial=-math.inf) for index in range(len(means))])
        gaps = -np.abs(means - others) / steps
        gains = steps * (np.exp(-0.5 * gaps**2) / math.sqrt(2 * math.pi) + gaps * ndtr(gaps))
        gains[~np.isfinite(gains)] = 0.0
        return beliefs[int(np.argmax(gains))].config

    def _believe(self, evaluations: Sequence[Evaluation]) -> list[_Belief]:
        evaluations = [_bound(evaluation) for evaluation in evaluations]
        searched = [evaluation for evaluation in evaluations if not evaluation.finalist]
        finished = rank(evaluations, self._goal)
        contenders = self._list_contenders(searched, evaluations)
        if not contenders:
            return []
        values = self._list_values(contenders, evaluations)
        guesses = self._model.estimate(searched, list(contenders.values()))
        predicted = self._model.predict(searched, list(contenders.values()))
        draws, noises = predicted.race([values[key] for key in contenders])
        seeds = Counter(key_of(evaluation.config) for evaluation in finished)
        highest = {key_of(run.config): self._sign * (run.value or 0.0) for run in reversed(finished)}
        before = Counter(key_of(evaluation.config) for evaluation in finished if not evaluation.finalist)
        return [
            _Belief(
                config=config,
                mean=float(draws[:, place].mean()),
                guess=self._sign * guesses[place].mean,
                variance=max(float(draws[:, place].var()), _SMALLEST),
                noise=max(float(noises[place]), _SMALLEST),
                draws=draws[:, place],
                seen=highest.get(key, -math.inf),
                seeds=seeds[key],
                searched=before[key],
                raced=len(values[key]),
            )
            for place, (key, config) in enumerate(contenders.items())
        ]

    def _list_contenders(self, searched: Sequence[Evaluation], evaluations: Sequence[Evaluation]) -> dict[Key, Config]:
        """The best believed configs of the search, the defaults, and whatever raced; none where nothing finished."""
        configs = {key_of(run.config): run.config for run in rank(searched, self._goal)}
        if not configs:
            return {}
        estimates = dict(zip(configs, self._model.estimate(searched, list(configs.values())), strict=True))
        usual = None if self._defaults is None else key_of(self._defaults)
        others = (key for key in configs if key != usual)
        leaders = sorted(others, key=lambda key: -self._sign * estimates[key].mean)[:CONTENDERS]
        contenders = {key: configs[key] for key in leaders}
        if self._defaults is not None:
            contenders[key_of(self._defaults)] = self._defaults
        return contenders | {key_of(run.config): run.config for run in evaluations if run.finalist}

    def _list_values(
        self, contenders: Mapping[Key, Config], evaluations: Sequence[Evaluation]
    ) -> dict[Key, list[float]]:
        """What the race's runs reached; those that failed, the worst that was seen."""
        finished = rank(evaluations, self._goal)
        worst = finished[-1].value or 0.0
        values: dict[Key, list[float]] = {key: [] for key in contenders}
        for run in evaluations:
            if run.finalist:
                ran = run.value is not None and run in finished
                values[key_of(run.config)].append((run.value or 0.0) if ran else worst)
        return values

    def _compare(self, best: _Belief, beliefs: Sequence[_Belief]) -> float | None:
        for belief in beliefs:
            if belief.config == self._defaults and belief.seeds:
                if belief is best:
                    return 0.0
                ahead = best.draws - belief.draws
                return float(np.mean(ahead > DOUBT * ahead.std()))
        return None


def _bound(evaluation: Evaluation) -> Evaluation:
    value = evaluation.value
    if value is None or not math.isfinite(value) or abs(value) <= _LARGEST:
        return evaluation
    return evaluation.model_copy(update={"value": math.copysign(_LARGEST, value)})


def _judge(better: float | None, is_default: bool) -> Verdict:
    if better is None:
        return "not compared"
    if is_default:
        return "no improvement"
    return "improvement" if better >= SURE else "unclear"

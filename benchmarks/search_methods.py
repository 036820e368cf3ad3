"""What the search benchmark drives: the product's own search as the flow drives it, and peers of any kind."""

# ruff: noqa: D102 - `Method` and `Peer` say what `ask`, `suggest` and `recommend` are for

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from search_overlap import count_early, narrow_early, propose_early

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.runs.selection import rank
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.budget import Split, count_finalists, split_budget
from multistage.domain.sweep.plan import OWN_SEARCH, count_prior
from multistage.search.base import Proposal, SearchProblem
from multistage.search.finalists import Recommendation
from multistage.search.lessons import PriorSource
from multistage.search.prior import choose_prior_configs
from multistage.search.registry import create_searcher
from multistage.search.sobol import key_of

CONTENDERS = 5
"""Configs that a replicating peer trains again, in turns."""


class Method(Protocol):
    """A way to spend a budget of runs on a space; more is better."""

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        """The config of the slot ``index``; None to wait until a pending run has ended."""

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        """The config that the method stands for, and the value that it reports for it."""


class Multistage:
    """One of the product's searchers, driven as the flow drives it: a stage begins when the one before has ended.

    Args:
        space: What is searched.
        budget: Runs in all.
        seed: Of all draws.
        finalists: Runs of stage 3 that train contenders again; None for the usual number.
        search: The searcher.
        defaults: The usual values.
        prior: What other trainings tell.
        overlap: Trainings at once, where a stage's first runs begin while the one before ends; None: as in the flow.
    """

    def __init__(
        self,
        space: SearchSpace,
        budget: int,
        seed: int,
        finalists: int | None = None,
        search: str = OWN_SEARCH,
        defaults: Config | None = None,
        prior: Sequence[PriorSource] = (),
        overlap: int | None = None,
    ) -> None:
        self._overlap = overlap
        self._budgets = split_budget(budget, Split())
        count = min(count_finalists(budget) if finalists is None else finalists, self._budgets[2])
        problem = SearchProblem(
            space=space,
            goal="maximize",
            budgets=self._budgets,
            finalists=count,
            seed=seed,
            defaults=defaults,
            first=defaults,
            again=defaults,
            prior=tuple(choose_prior_configs(space, prior, count_prior(self._budgets[0], defaults is not None), seed)),
        )
        self._search = create_searcher(search, problem)
        self._finalists = count
        self._planned = self._search.plan()
        self._box, self._stage = space, 1

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        if index < self._budgets[0]:
            return Proposal(config=self._planned[index])
        stage = self.find_stage(index)
        if stage > self._stage:
            start = sum(self._budgets[: stage - 1])
            if any(slot < start for slot in pending):
                return self._begin_early(index, done, pending) if stage == self._stage + 1 else None
            self._box = self._search.narrow(stage, done, self._box).space  # type: ignore[arg-type]
            self._stage = stage
        return self.propose(index, done, pending)

    def _begin_early(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        """What the slot trains while the stage before it ends; None where it has to wait for that."""
        stage = self.find_stage(index)
        start = sum(self._budgets[: stage - 1])
        running = [proposal.config for slot, proposal in pending.items() if slot < start]
        early = [proposal.config for slot, proposal in pending.items() if slot >= start]
        begun, searching = index - start, self._budgets[stage - 1] - (self._finalists if stage == 3 else 0)
        if self._overlap is None or not count_early(self._overlap, len(running), searching, begun, len(early)):
            return None
        box = narrow_early(self._search, stage, done, self._box)  # type: ignore[arg-type]
        if box is None:
            return None
        found = propose_early(self._search, stage, box, done, running, early, begun, 1)  # type: ignore[arg-type]
        return found[0] if found else None

    def propose(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        """What the slot of stage 2 or 3 trains, in the box as it stands: a race asks no other."""
        stage = self.find_stage(index)
        start = sum(self._budgets[: stage - 1])
        open_slots = [proposal for slot, proposal in pending.items() if slot >= start]
        found = self._search.propose(stage, self._box, done, open_slots, index - start, 1)  # type: ignore[arg-type]
        return found[0] if found else None

    def believe(self, done: Sequence[Evaluation]) -> Recommendation:
        """All that the product tells of the config that it recommends."""
        found = self._search.recommend(done)
        assert found is not None
        return found

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        found = self.believe(done)
        return found.config, found.mean

    def find_stage(self, index: int) -> int:
        """The stage of a slot."""
        return 1 if index < self._budgets[0] else 2 if index < sum(self._budgets[:2]) else 3


class Peer:
    """A peer that proposes one config at a time and stands for the best mean of what it saw."""

    def __init__(self, space: SearchSpace, budget: int, seed: int) -> None:
        self.space, self.budget, self.seed = space, budget, seed
        self.random = np.random.default_rng(seed)

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        config = self.suggest(index, done, pending)
        return None if config is None else Proposal(config=config)

    def suggest(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Config | None:
        """The next config; chance, in the base."""
        del index, done, pending
        return self.space.from_unit(self.random.random(len(self.space)))

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        best = rank(done, "maximize")[0]
        assert best.value is not None
        return best.config, best.value


class Replicating:
    """A peer whose last runs train its best configs again, in turns; it stands for the best mean."""

    def __init__(self, inner: Method, budget: int) -> None:
        self._inner, self._from = inner, budget - count_finalists(budget)
        self._top: list[Config] = []

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        if index < self._from:
            return self._inner.ask(index, done, pending)
        if not self._top:
            best = {key_of(run.config): run.config for run in rank(done, "maximize")}
            self._top = list(best.values())[:CONTENDERS]
        return Proposal(config=self._top[(index - self._from) % len(self._top)], finalist=True)

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        if not self._top:
            return self._inner.recommend(done)
        means = []
        for config in self._top:
            values = [run.value for run in done if run.config == config and run.value is not None]
            means.append(float(np.mean(values)))
        best = int(np.argmax(means))
        return self._top[best], means[best]


class Recorded:
    """A peer whose answers are known from a run with the same evidence; its replicated twin searches with them."""

    def __init__(self, answers: Sequence[Proposal | None]) -> None:
        self._answers: Iterator[Proposal | None] = iter(answers)

    def ask(self, index: int, done: Sequence[Evaluation], pending: Mapping[int, Proposal]) -> Proposal | None:
        del index, done, pending
        return next(self._answers)

    def recommend(self, done: Sequence[Evaluation]) -> tuple[Config, float]:
        del done
        raise NotImplementedError("a twin without finalists recommends what the recorded peer does")

"""Rules that the product does not have: short trainings in the early stages, early stops, and curves as evidence.

The product's stages, process and race, billed by training time: a stage ends when its share of the time is trained.
"""

# ruff: noqa: D102 - `Stepper` and `StagedSearch` say what their methods are for

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from search_curves import LEVELS, Outlook, predict_end
from search_evidence import ValueMap, choose_length
from search_seconds import Job, Run, Stepper
from search_tables import Matrix

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.parameters import FloatParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.budget import Split, count_finalists, split_budget
from multistage.search.base import Proposal, SearchProblem
from multistage.search.contenders import Prediction
from multistage.search.finalists import FinalistRace
from multistage.search.gaussian_process import Estimate, GaussianProcessSearch
from multistage.search.multistage import StagedSearch

RULES = ("lengths", "stop", "mean")
LENGTH = "training_length"
APART = 1_000_000
"""A value after a level has its run's index and this times the level as its own."""


class Rules(NamedTuple):
    """What a sweep does with lengths."""

    levels: tuple[int, int, int] = (LEVELS, LEVELS, LEVELS)
    """At which the search's runs of each stage end."""
    auto: bool = False
    """Whether stage 2's is chosen by the curves of stage 1, whose runs are whole."""
    risk: float = 0.0
    """Chance to end in the top tenth below which a run is stopped."""
    last: int = 1
    """Levels whose mean is a whole run's value."""


def read_rules(text: str) -> Rules:
    """Read ``lengths:3-5-10``, ``lengths:auto``, ``stop:2`` (percent) or ``mean:3`` (levels), or some with ``+``.

    Raises:
        ValueError: It is none of these.
    """
    rules = Rules()
    for part in text.split("+"):
        kind, _, value = part.partition(":")
        if part == "lengths:auto":
            rules = rules._replace(auto=True)
        elif kind == "lengths":
            levels = tuple(int(level) for level in value.split("-"))
            if len(levels) != 3 or not all(1 <= level <= LEVELS for level in levels) or levels[2] != LEVELS:
                raise ValueError(f"{part} is no three levels from 1 to {LEVELS}; stage 3 is whole")
            rules = rules._replace(levels=levels)
        elif kind == "stop":
            rules = rules._replace(risk=float(value) / 100)
        elif kind == "mean":
            rules = rules._replace(last=int(value))
        else:
            raise ValueError(f"there is no rule {part!r}; there are lengths:1-5-10, lengths:auto, stop:2 and mean:3")
    return rules


class LengthModel(GaussianProcessSearch):
    """The product's process with the training length as one more dimension, asked at whole length."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._length = FloatParameter(name=LENGTH, low=1 / LEVELS, high=1.0, scale="log")
        super().__init__(SearchSpace(parameters=(*space.parameters, self._length)), "maximize", seed)

    def propose(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> list[Config]:
        whole = self._length.model_copy(update={"low": 1.0})
        found = super().propose(
            SearchSpace.model_construct(parameters=(*box.parameters, whole)),
            _extend(evaluations),
            [config | {LENGTH: config.get(LENGTH, 1.0)} for config in pending],
            count,
        )
        return [{name: value for name, value in config.items() if name != LENGTH} for config in found]

    def estimate(self, evaluations: Sequence[Evaluation], candidates: Sequence[Config]) -> list[Estimate]:
        return super().estimate(_extend(evaluations), [config | {LENGTH: 1.0} for config in candidates])

    def predict(self, evaluations: Sequence[Evaluation], candidates: Sequence[Config]) -> Prediction:
        return super().predict(_extend(evaluations), [config | {LENGTH: 1.0} for config in candidates])


def _extend(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    return [
        run.model_copy(update={"config": run.config | {LENGTH: (run.index // APART or LEVELS) / LEVELS}})
        for run in evaluations
    ]


class _Search(StagedSearch):
    """The product's searcher, with that process where lengths differ."""

    def __init__(self, problem: SearchProblem, lengths: bool) -> None:
        super().__init__(problem)
        if lengths:
            self.model = LengthModel(problem.space, problem.seed)
            self._race = FinalistRace(self.model, problem.space, problem.defaults, problem.goal)

    def suggest(
        self, box: SearchSpace, evaluations: Sequence[Evaluation], pending: Sequence[Config], count: int
    ) -> Sequence[Config]:
        return self.model.propose(box, evaluations, pending, count)


class Lengths(Stepper):
    """The product's search, with rules about lengths.

    Args:
        space: What is searched.
        budget: Whole trainings' worth of time.
        seed: Of all draws.
        rules: What is done with lengths.
    """

    def __init__(self, space: SearchSpace, budget: int, seed: int, rules: Rules) -> None:
        super().__init__(space, budget, seed)
        self._rules, self._levels = rules, list(rules.levels)
        shares = split_budget(budget, Split())
        self._ends = LEVELS * (shares[1] + shares[2]), LEVELS * shares[2], 0
        """Levels that are left when each stage ends."""
        self._finalists = min(count_finalists(budget), shares[2])
        self._search = self._make((LEVELS * shares[0], LEVELS * shares[1], shares[2]))
        self._planned = list(self._search.plan())
        self._box, self._stage, self._used = space, 1, 0
        self._stages: dict[int, int] = {}
        self._racing: set[int] = set()
        self._open: dict[int, Proposal] = {}
        self._asked: tuple[int, Proposal] | None = None
        self._outlooks: dict[int, Outlook] = {}

    def _make(self, budgets: tuple[int, int, int]) -> _Search:
        problem = SearchProblem(
            space=self.space,
            goal="maximize",
            budgets=budgets,
            finalists=self._finalists,
            seed=self.seed,
            stage1="sobol",
        )
        return _Search(problem, self._rules.auto or self._rules.levels != (LEVELS, LEVELS, LEVELS))

    def ask(self, index: int, room: int) -> Job | None:
        while room - self._ends[self._stage - 1] < self._levels[self._stage - 1]:
            if self._open or self._stage == 3:
                return None
            self._begin_stage(room)
        proposal = self._propose(room)
        if proposal is None:
            return None
        self._used += 1
        self._asked = index, proposal
        return Job(proposal.config, LEVELS if proposal.finalist else self._levels[self._stage - 1])

    def _begin_stage(self, room: int) -> None:
        if self._stage == 1 and self._rules.auto:
            self._levels[1] = choose_length(self.space, self._list_curves())
        self._stage, self._used = self._stage + 1, 0
        if self._stage == 3:
            budgets = self._search.problem.budgets
            self._search = self._make((budgets[0], budgets[1], room // LEVELS))
        stage: Literal[2, 3] = 2 if self._stage == 2 else 3
        # What the stage before it was told at its own length; a value at another is not comparable.
        level = self._levels[stage - 2]
        own = [run for run in self._list_evidence() if (run.index // APART or LEVELS) == level]
        self._box = self._search.narrow(stage, own, self._box).space

    def _propose(self, room: int) -> Proposal | None:
        if self._stage == 1:
            return Proposal(config=self._planned[self._used]) if self._used < len(self._planned) else None
        stage: Literal[2, 3] = 2 if self._stage == 2 else 3
        length = self._levels[stage - 1] / LEVELS
        marked = {LENGTH: length} if isinstance(self._search.model, LengthModel) and length < 1 else {}
        pending = [one.model_copy(update={"config": one.config | marked}) for one in self._open.values()]
        used = 0
        if stage == 3 and room < LEVELS * (self._finalists + 1):
            used = self._search.problem.budgets[2] - self._finalists + len(self._racing)
        found = self._search.propose(stage, self._box, self._list_evidence(), pending, used, 1)
        return found[0] if found else None

    def begin(self, run: Run) -> None:
        super().begin(run)
        assert self._asked is not None
        self._open[run.index] = self._asked[1]
        self._stages[run.index] = self._stage
        if self._asked[1].finalist:
            self._racing.add(run.index)

    def watch(self, run: Run) -> bool:
        if not self._rules.risk or run.index in self._racing:
            return True
        whole = [curve for _, curve in self._list_curves()]
        outlook = predict_end(whole, np.array(run.values))
        if outlook is None or outlook.leads >= self._rules.risk:
            return True
        self._outlooks[run.index] = outlook
        return False

    def settle(self, run: Run) -> None:
        del self._open[run.index]

    def _list_curves(self) -> list[tuple[Config, Matrix]]:
        return [
            (run.config, np.array(run.values))
            for run in self.runs.values()
            if len(run.values) == LEVELS and run.index not in self._racing
        ]

    def _list_evidence(self) -> list[Evaluation]:
        """List what the search is told: a value a run, and two of whole ones where stage 2's are shorter."""
        short = self._levels[1] if self._rules.auto and self._levels[1] < LEVELS else None
        mapped = ValueMap([curve for _, curve in self._list_curves()], short) if short else None
        evidence = []
        for run in self.runs.values():
            if run.index in self._open:
                continue
            if run.stopped:
                evidence.append(self._tell(run, LEVELS, self._outlooks[run.index].value, "stopped"))
            elif len(run.values) == LEVELS:
                evidence.append(self._tell(run, LEVELS, float(np.mean(run.values[-self._rules.last :]))))
            elif mapped is None:
                evidence.append(self._tell(run, len(run.values), run.values[-1]))
            if mapped and not run.stopped and run.index not in self._racing:
                evidence.append(self._tell(run, mapped.level, mapped(run.values[mapped.level - 1])))
        return evidence

    def _tell(
        self, run: Run, level: int, value: float, outcome: Literal["finished", "stopped"] = "finished"
    ) -> Evaluation:
        return Evaluation(
            stage=self._stages[run.index],
            index=run.index + (0 if level == LEVELS else level * APART),
            config=run.config,
            outcome=outcome,
            value=value,
            finalist=run.index in self._racing,
        )

    def recommend(self) -> tuple[Config, float]:
        found = self._search.recommend(self._list_evidence())
        assert found is not None
        return found.config, found.mean

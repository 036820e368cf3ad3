"""Another package's searcher, held to its promises while it drives a sweep: its mistake is a sentence, not a hang."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.narrowing import Narrowing
from multistage.domain.space.search_space import SearchSpace
from multistage.errors import MultistageError, SweepFailedError
from multistage.search.base import Proposal, Searcher, SearchProblem

if TYPE_CHECKING:
    from multistage.search.finalists import Recommendation

Answer = TypeVar("Answer")


class VettedSearcher:
    """Passes on what a searcher answers, or raises `SweepFailedError` where nothing could be trained by it.

    Args:
        name: What the searcher is called.
        searcher: Answers.
        problem: The sweep.
    """

    def __init__(self, name: str, searcher: Searcher, problem: SearchProblem) -> None:
        self._name = name
        self._searcher = searcher
        self._problem = problem

    def plan(self) -> Sequence[Config]:
        """Return stage 1's configs."""
        configs, asked = list(self._ask(self._searcher.plan)), self._problem
        runs = asked.space.grid_size(asked.resolution) if asked.stage1 == "grid" else asked.budgets[0]
        if len(configs) != runs:
            raise self._fail(f"planned {len(configs)} configs for the {runs} runs of stage 1")
        for config in configs:
            if config != self._problem.first:
                self._place(config, self._problem.space)
        return configs

    def narrow(self, stage: Literal[2, 3], evaluations: Sequence[Evaluation], current: SearchSpace) -> Narrowing:
        """Return the box of a stage."""
        narrowing = self._ask(lambda: self._searcher.narrow(stage, evaluations, current))
        first, box = self._problem.space, narrowing.space
        bounds = [(name, value) for name in box.names for value in box[name].bounds]
        if box.names != first.names or not all(first[name].contains(value) for name, value in bounds):
            raise self._fail(f"narrowed to {box.bounds}, which is not within {first.bounds}")
        return narrowing

    def propose(
        self,
        stage: Literal[2, 3],
        box: SearchSpace,
        evaluations: Sequence[Evaluation],
        pending: Sequence[Proposal],
        used: int,
        count: int,
    ) -> Sequence[Proposal]:
        """Return what to train next."""
        found = list(self._ask(lambda: self._searcher.propose(stage, box, evaluations, pending, used, count)))
        wanted = min(count, self._problem.budgets[stage - 1] - used)
        if len(found) > max(wanted, 0) or (wanted > 0 and not found and not pending):
            raise self._fail(f"proposed {len(found)} configs in stage {stage}, and {wanted} were wanted")
        for proposal in found:
            if not proposal.finalist and proposal.config != self._problem.again:
                self._place(proposal.config, box)
        return found

    def recommend(self, evaluations: Sequence[Evaluation]) -> "Recommendation | None":
        """Return the config that the sweep stands for."""
        return self._ask(lambda: self._searcher.recommend(evaluations))

    def _place(self, config: Config, box: SearchSpace) -> None:
        if not box.contains(config):
            raise self._fail(f"proposed {config}, which is not within {box.bounds}")

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except MultistageError:
            raise
        except Exception as error:
            raise self._fail(f"failed with {type(error).__name__}: {error}") from error

    def _fail(self, what: str) -> SweepFailedError:
        return SweepFailedError(
            f"The searcher {self._name!r} {what}.",
            "Fix its package, and resume; multistage.search.conformance shows such mistakes before a sweep.",
        )

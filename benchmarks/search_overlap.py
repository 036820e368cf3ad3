"""A rule that the product does not have: the next stage's first runs begin while the last ones of a stage go on."""

from collections.abc import Sequence
from typing import Literal

from multistage.domain.runs.results import Config, Evaluation
from multistage.domain.space.search_space import SearchSpace
from multistage.search.base import Proposal, Searcher


def count_early(workers: int, unsettled: int, searching: int, begun: int, under_way: int) -> int:
    """Count the runs of the next stage that may be handed out now.

    Every slot of the ending stage that is not used keeps a worker's place, whether its run trains, waits, or was lost
    and has to be trained again.

    Args:
        workers: Workers at once.
        unsettled: Slots of the ending stage that are not used; all of its slots were handed out.
        searching: Runs of the next stage without its finalists: who races is not known before.
        begun: Slots of the next stage that were handed out.
        under_way: Of those, the ones whose run is queued or trains.

    Returns:
        So many that no more than ``workers`` are handed out early in all.
    """
    return max(0, min(workers - unsettled - under_way, min(workers, searching) - begun))


def narrow_early(
    searcher: Searcher, stage: Literal[2, 3], evaluations: Sequence[Evaluation], current: SearchSpace
) -> SearchSpace | None:
    """Narrow the box for a stage's first runs by what the stage before it has found so far.

    Args:
        searcher: The sweep's.
        stage: The next stage.
        evaluations: All used slots of all stages.
        current: The box of the stage that ends.

    Returns:
        The box; None where no run of the ending stage has a value yet.
    """
    ending = [one for one in evaluations if one.stage == stage - 1]
    if all(one.value is None for one in ending):
        return None
    return searcher.narrow(stage, ending, current).space


def propose_early(
    searcher: Searcher,
    stage: Literal[2, 3],
    box: SearchSpace,
    evaluations: Sequence[Evaluation],
    ending: Sequence[Config],
    pending: Sequence[Config],
    begun: int,
    count: int,
) -> Sequence[Proposal]:
    """Propose a stage's first runs.

    Args:
        searcher: The sweep's.
        stage: The next stage.
        box: From `narrow_early`.
        evaluations: All used slots of all stages, the next one's included.
        ending: Configs of the ending stage that are queued or train.
        pending: Those of the next stage.
        begun: Slots of the next stage that were handed out.
        count: How many are wanted; no more than the stage has runs before its finalists.
    """
    under_way = [Proposal(config=config) for config in (*ending, *pending)]
    return searcher.propose(stage, box, evaluations, under_way, begun, count)

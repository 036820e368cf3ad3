"""What a sweep's searcher is asked to solve."""

from multistage.domain.sweep.state import State
from multistage.search.base import SearchProblem


def pose_problem(state: State) -> SearchProblem:
    """Pose a sweep's problem to a searcher.

    Args:
        state: The sweep's.
    """
    settings = state.settings
    runs = [stage.runs for stage in state.plan] + [0, 0]
    return SearchProblem(
        space=settings.space,
        goal=settings.goal,
        budgets=(runs[0], runs[1], runs[2]),
        finalists=state.plan[-1].finalists,
        defaults=settings.baseline or None,
        stage1=settings.stage1,
        resolution=settings.grid_resolution,
        seed=settings.seed,
        first=state.plan[0].defaults or None,
        prior=settings.prior_configs,
        again=state.plan[-1].defaults or None,
    )

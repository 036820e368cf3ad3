"""The first stage's configs, all known before it starts."""

from collections.abc import Sequence

import numpy as np

from multistage.domain.runs.results import Config
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import Stage1Method, count_prior
from multistage.errors import BudgetError
from multistage.search.sobol import key_of, sample_sobol


def plan_stage1(
    space: SearchSpace,
    method: Stage1Method,
    resolution: int,
    budget: int,
    seed: int,
    defaults: Config | None = None,
    prior: Sequence[Config] = (),
) -> list[Config]:
    """The configs of stage 1, in the order in which they are to be trained.

    A grid comes in an order drawn by the seed: cut off anywhere, it has covered the space evenly. In its own
    order the leading parameters would barely have moved.

    Args:
        space: The space that the user asked for.
        method: ``grid`` is the grid alone; ``sobol`` is Sobol points alone; ``auto`` is the grid, filled up
            with Sobol points, where the grid fits the budget, and Sobol points alone where it does not.
        resolution: Values a parameter in the grid.
        budget: Runs of the stage.
        seed: Of the order and of the Sobol points.
        defaults: The usual values of what is swept, which come first; None where they are not trained. They may lie
            outside the space.
        prior: Configs within the space that other trainings speak for, the most promising first. They come after
            the defaults, in up to half of the runs; a grid that is asked for takes none.

    Returns:
        Exactly ``budget`` configs; with ``grid`` the grid's, and no others.

    Raises:
        BudgetError: The grid was asked for and has more configs than the budget.
    """
    size = space.grid_size(resolution)
    if method == "grid" and size > budget:
        raise BudgetError(
            f"A grid of {resolution} values per parameter has {size} configs, and stage 1 has {budget} runs.",
            "Use `--stage1 auto` or `--stage1 sobol`, a smaller `--grid-resolution`, fewer parameters or a larger "
            "`--budget`.",
        )
    grid: list[Config] = []
    if method != "sobol" and size <= budget:
        configs = space.grid(resolution)
        grid = [configs[index] for index in np.random.default_rng(seed).permutation(size)]
    if method == "grid":
        return grid
    usual = [] if defaults is None else [defaults]
    known = [config for config in prior if config not in usual][: count_prior(budget, len(usual))]
    if len({*map(key_of, usual), *map(key_of, grid)}) > budget - len(known):
        grid = []
    first = usual + known
    planned = first + [config for config in grid if config not in first]
    return planned + sample_sobol(space, budget - len(planned), seed, taken=planned)

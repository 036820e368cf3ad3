"""What the report draws of beliefs is what the printed interval comes from."""

import math

import numpy as np
import pytest

from multistage.domain.runs.results import Goal
from multistage.report.beliefs import slice_model
from tests.report.sweeps import LR, make_data, make_run


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_a_slices_band_is_wide_where_single_runs_say_little(goal: Goal) -> None:
    random = np.random.default_rng(5)
    sign = 1.0 if goal == "maximize" else -1.0

    def reach(rate: float) -> float:
        return sign * (10.0 - (math.log10(rate) + 3.0) ** 2)

    rates = [float(10 ** random.uniform(-5, -1)) for _ in range(40)]
    runs = [make_run(i, {"lr": rate}, reach(rate) + float(random.normal(0, 0.5))) for i, rate in enumerate(rates)]
    along = slice_model(make_data([LR], runs, goal=goal), {"lr": 1e-3}, "lr")
    inside = [low < mean < high for low, mean, high in zip(along.lows, along.means, along.highs, strict=True)]
    assert all(inside)
    top = np.argmax(sign * np.array(along.means))
    assert abs(math.log10(float(along.values[top])) + 3.0) < 0.5
    assert along.lows[top] < reach(float(along.values[top])) < along.highs[top]
    assert 0.2 < along.highs[top] - along.lows[top] < 3.0

"""The configs that were trained more than once: what separates a good config from a lucky run."""

from typing import Literal, NamedTuple

import numpy as np

from multistage.domain.runs.results import Config, Evaluation
from multistage.report.data import ReportData, value_of
from multistage.search.sobol import key_of

POOLED_RUNS = 2
"""Runs that the noise of all other contenders weighs as much as at most, beside a config's own."""
Role = Literal["recommended", "defaults", "contender"]


class Contender(NamedTuple):
    """A config that was trained more than once.

    ``interval`` is the 95% interval of the mean: Student's, with the noise of single runs between the config's own and
    that of the others, since two or three seeds say little about their own spread, and the configs' spreads differ.
    None where no spread is known.
    """

    config: Config
    role: Role
    values: list[float]
    mean: float
    interval: tuple[float, float] | None


def list_contenders(data: ReportData) -> list[Contender]:
    """List the configs with several finished runs, and the defaults beside them; the best mean first.

    Where nothing raced and nothing but the defaults was trained more than once there are none.
    """
    from scipy.stats import t  # heavy, and needed only here

    grouped: dict[object, list[Evaluation]] = {}
    for one in data.leaders:
        grouped.setdefault(key_of(one.config), []).append(one)
    defaults = key_of(data.defaults) if data.defaults else None
    recommended = key_of(data.state.recommended.config) if data.state.recommended else None
    kept = {key: group for key, group in grouped.items() if len(group) > 1 or key == defaults}
    if kept.keys() <= {defaults} and not any(leader.finalist for leader in data.leaders):
        return []
    values = {key: [value_of(one) for one in group] for key, group in kept.items()}
    degrees = sum(len(group) - 1 for group in values.values())
    squares = sum(float(np.var(group)) * len(group) for group in values.values())
    found = []
    for key, group in kept.items():
        mean = float(np.mean(values[key]))
        own, freedom = float(np.var(values[key])) * len(group), len(group) - 1
        weight = min(POOLED_RUNS, degrees - freedom)
        interval = None
        if weight + freedom:
            others = weight * (squares - own) / (degrees - freedom) if weight else 0.0
            noise = (others + own) / (weight + freedom)
            half = float(t.ppf(0.975, weight + freedom)) * (max(noise, 0.0) / len(group)) ** 0.5
            interval = (mean - half, mean + half)
        role: Role = "recommended" if key == recommended else "defaults" if key == defaults else "contender"
        found.append(Contender(group[0].config, role, values[key], mean, interval))
    sign = -1 if data.state.goal == "maximize" else 1
    return sorted(found, key=lambda one: sign * one.mean)

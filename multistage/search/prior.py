"""Where in a space better configs are to be expected, going by other trainings, before it has runs of its own.

Only how those ranked among themselves is taken over, smoothed over the hyperparameters that both have: they may have
searched wider or elsewhere, and their metric may be any.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multistage.domain.runs.results import Config, Value
from multistage.domain.runs.values import require_number
from multistage.domain.space.parameters import CategoricalParameter, Parameter
from multistage.domain.space.search_space import SearchSpace
from multistage.search.lessons import PriorSource
from multistage.search.sobol import key_of, sample_sobol

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

CANDIDATES = 12
"""Points of the space for each config that is chosen among them."""
WIDTH = 0.14
"""Of the kernel that smooths, in units of what a source tried; it grows with the root of the number of hyperparameters,
as distances in a cube do."""


def is_telling(space: SearchSpace, source: PriorSource) -> bool:
    """Whether a source tells some configs of a space from others."""
    return _read(space, source) is not None


def choose_prior_configs(
    space: SearchSpace, sources: Sequence[PriorSource], count: int, seed: int, taken: Sequence[Config] = ()
) -> list[Config]:
    """Choose the configs of a space that the sources expect most of, the most promising first.

    They are many and lie apart: the single config that ranks best elsewhere is often no better than a random one.

    Args:
        space: What the user asked for.
        sources: What is known.
        count: How many are wanted.
        seed: Of the points among which they are chosen.
        taken: Configs that are there already.

    Returns:
        As many distinct configs; fewer where the space has fewer, and none where the sources tell nothing.
    """
    teachers = [teacher for teacher in (_read(space, source) for source in sources) if teacher is not None]
    if not teachers or count < 1:
        return []
    points = sample_sobol(space, CANDIDATES * count, seed, taken=taken)
    seen = {key_of(config) for config in taken}
    candidates = [config for key, config in {key_of(one): one for one in points}.items() if key not in seen]
    if not candidates:
        return []
    # A source that shares more with the sweep counts for more.
    expected = np.sum([len(teacher.places) * teacher.expect(candidates) for teacher in teachers], axis=0)
    return [candidates[place] for place in np.argsort(-expected, kind="stable")[:count]]


class _Place(NamedTuple):
    """Where a hyperparameter's values lie, on its own scale and in units of what a source tried."""

    parameter: Parameter
    unit: float

    def put(self, values: Sequence[Value]) -> Matrix:
        """Put values into columns, beyond the bounds too; two choices lie 1 apart."""
        if isinstance(self.parameter, CategoricalParameter):
            places = [self.parameter.choices.index(_match(self.parameter, value)) for value in values]
            marked: Matrix = np.eye(len(self.parameter.choices))[places] * math.sqrt(0.5)
            return marked
        positions = [self.parameter.to_scale(value) for value in values]
        return np.array(positions, dtype=np.float64).reshape(-1, 1) / self.unit


class _Teacher(NamedTuple):
    """A source's trainings."""

    places: dict[str, _Place]
    """Those of the hyperparameters that it shares with the space."""
    rows: Matrix
    standings: Vector
    level: tuple[float, float] = (0.0, 1.0)
    """Mean and standard deviation of what it expects of its own trainings."""

    def expect(self, configs: Sequence[Config]) -> Vector:
        """What is to be expected of configs, on the source's own level."""
        at = np.hstack([place.put([config[name] for config in configs]) for name, place in self.places.items()])
        expected: Vector = (self.smooth(at) - self.level[0]) / self.level[1]
        return expected

    def smooth(self, at: Matrix) -> Vector:
        """A mean of the standings, in which the nearer count the more.

        Source: Nadaraya, "On Estimating Regression", and Watson, "Smooth Regression Analysis", both 1964.
        """
        squared = (at**2).sum(axis=1)[:, None] + (self.rows**2).sum(axis=1) - 2 * at @ self.rows.T
        # The nearest one counts 1, however far it is.
        nearness = np.exp((squared.min(axis=1, keepdims=True) - squared) / (2 * WIDTH**2 * len(self.places)))
        means: Vector = nearness @ self.standings / nearness.sum(axis=1)
        return means


def _read(space: SearchSpace, source: PriorSource) -> _Teacher | None:
    """Read a source; None where it tells nothing of the space."""
    lessons = source.lessons
    places: dict[str, _Place] = {}
    for name in source.names:
        values = [lesson.config[name] for lesson in lessons]
        if name in space and len(set(values)) > 1 and space[name].size != 1 and _fits(space[name], values):
            whole = _Place(space[name], 1.0)
            spread = 1.0 if space[name].kind == "categorical" else float(np.ptp(whole.put(values)))
            places[name] = _Place(space[name], spread or 1.0)
    if not places:
        return None
    rows = np.hstack([place.put([lesson.config[name] for lesson in lessons]) for name, place in places.items()])
    teacher = _Teacher(places, rows, np.array([lesson.standing for lesson in lessons]))
    own = teacher.smooth(rows)
    return teacher._replace(level=(float(own.mean()), float(own.std()))) if np.ptp(own) else None


def _fits(parameter: Parameter, values: Sequence[Value]) -> bool:
    """Whether a source's values are of the parameter's kind."""
    if isinstance(parameter, CategoricalParameter):
        return all(parameter.contains(_match(parameter, value)) for value in values)
    return all(require_number(value) is not None and not isinstance(value, str) for value in values)


def _match(parameter: CategoricalParameter, value: Value) -> Value:
    """The choice that a value of a source stands for: itself, or the nearest where all are numbers."""
    number, known = require_number(value), [require_number(choice) for choice in parameter.choices]
    choices = [float(choice) for choice in known if choice is not None]
    if parameter.contains(value) or number is None or len(choices) < len(known):
        return value
    is_log = min(*choices, number) > 0
    gaps = [abs(math.log(choice / number)) if is_log else abs(choice - number) for choice in choices]
    return parameter.choices[int(np.argmin(gaps))]

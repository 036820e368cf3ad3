"""Configs as rows of numbers, on the first space's scales, for a model to learn from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multistage.domain.runs.results import Config
from multistage.domain.space.parameters import CategoricalParameter
from multistage.domain.space.search_space import SearchSpace

Matrix = NDArray[np.float64]


class Encoder:
    """Turns configs into rows: a number in the unit interval for each range, a column for each choice.

    What cannot vary has no column; a space in which nothing varies has one that is always 0. The trainer's defaults
    may lie outside the space: beyond a range by its width at most, and with a mark at no choice.

    Args:
        first: The space that the user asked for; all its narrowed boxes lie in it.
    """

    def __init__(self, first: SearchSpace) -> None:
        self._first = first
        self._varied = [(index, p) for index, p in enumerate(first.parameters) if p.size != 1]

    @property
    def width(self) -> int:
        """Number of columns."""
        return max(1, sum(_count_columns(parameter) for _, parameter in self._varied))

    def encode(self, configs: Sequence[Config]) -> Matrix:
        """The configs' rows, shape (configs, width)."""
        columns: list[Matrix] = []
        for _, parameter in self._varied:
            values = [config[parameter.name] for config in configs]
            if isinstance(parameter, CategoricalParameter):
                places = [parameter.choices.index(value) if parameter.contains(value) else -1 for value in values]
                columns.append(_mark(places, parameter))
            else:
                start, end = parameter.extent
                positions = np.array([parameter.to_scale(value) for value in values], dtype=np.float64)
                columns.append(np.clip((positions - start) / (end - start), -1.0, 2.0).reshape(-1, 1))
        return np.hstack(columns) if columns else np.zeros((len(configs), 1))

    def place(self, box: SearchSpace, points: Matrix) -> Matrix:
        """The rows of the configs at points of a box's unit cube, as if decoded and encoded again.

        Args:
            box: The first space or a narrowed one.
            points: Shape (points, parameters).
        """
        columns: list[Matrix] = []
        for index, parameter in self._varied:
            narrowed, units = box.parameters[index], points[:, index]
            if isinstance(parameter, CategoricalParameter) or isinstance(narrowed, CategoricalParameter):
                assert isinstance(parameter, CategoricalParameter)  # noqa: S101 - a box keeps the kinds
                assert isinstance(narrowed, CategoricalParameter)  # noqa: S101
                places = [parameter.choices.index(choice) for choice in narrowed.choices]
                picked = np.clip((units * len(places)).astype(int), 0, len(places) - 1)
                columns.append(_mark(np.array(places)[picked], parameter))
            else:
                (start, end), (first_start, first_end) = narrowed.extent, parameter.extent
                positions = narrowed.snap(start + units * (end - start))
                columns.append(((positions - first_start) / (first_end - first_start)).reshape(-1, 1))
        return np.hstack(columns) if columns else np.zeros((len(points), 1))


def _count_columns(parameter: object) -> int:
    return len(parameter.choices) if isinstance(parameter, CategoricalParameter) else 1


def _mark(indices: Sequence[int] | NDArray[np.int_], parameter: CategoricalParameter) -> Matrix:
    # Two different choices are a distance of 1 apart, like the two ends of a range.
    places = np.asarray(indices, dtype=int)
    marked: Matrix = np.eye(len(parameter.choices))[places] * np.sqrt(0.5) * (places >= 0).reshape(-1, 1)
    return marked

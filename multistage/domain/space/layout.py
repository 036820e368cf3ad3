"""Where a hyperparameter's value stands in a run's config, and how: nested, or a list that is searched as one choice.

The search sees flat names and plain values. A name such as ``optimizer.lr`` may lead into nested sections of the
config, and a value that is no plain one (a list, a section, null) is searched by its JSON text.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Value
from multistage.domain.runs.values import is_finite
from multistage.domain.space.choices import needs_telling_apart
from multistage.domain.space.parameters import CategoricalParameter, Parameter
from multistage.domain.space.search_space import SearchSpace


class Place(Model):
    """Where one hyperparameter stands."""

    path: tuple[str, ...]
    """The keys that lead to it."""
    is_json: bool = False
    """Whether the search holds its values as JSON texts."""


Layout = Mapping[str, Place]
"""The places by name. A name that is not in it stands under its own name, with its own value."""


def is_plain(value: object) -> bool:
    """Return whether a value needs no JSON text."""
    return isinstance(value, bool | int | float | str)


def _is_searchable(value: object) -> bool:
    return is_plain(value) and (not isinstance(value, int | float) or is_finite(value))


def encode_value(value: Any) -> Value:
    """Return the JSON text of a value, always the same for the same value."""
    return json.dumps(value, sort_keys=True)


def separate_choices(space: SearchSpace) -> tuple[SearchSpace, dict[str, Place]]:
    """Hold choices by their JSON texts where one is a boolean and another its equal number; returns their places."""
    layout: dict[str, Place] = {}
    parameters: list[Parameter] = []
    for one in space.parameters:
        if isinstance(one, CategoricalParameter) and needs_telling_apart(one.choices):
            layout[one.name] = Place(path=(one.name,), is_json=True)
            one = CategoricalParameter(name=one.name, choices=tuple(map(encode_value, one.choices)))
        parameters.append(one)
    return SearchSpace(parameters=tuple(parameters)), layout


def nest_values(values: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """Put values, which may be of any kind, under their paths."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *sections, key = layout[name].path if name in layout else (name,)
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = value
    return nested


def nest_config(config: Config, layout: Layout) -> dict[str, Any]:
    """Return a config as a run has it."""
    return nest_values({name: decode_value(name, value, layout) for name, value in config.items()}, layout)


def decode_value(name: str, value: Value, layout: Layout) -> Any:
    """Return a hyperparameter's value as a run has it."""
    return json.loads(str(value)) if name in layout and layout[name].is_json else value


def nest_specs(specs: Mapping[str, Mapping[str, Any]], layout: Layout) -> dict[str, Any]:
    """Put the specifications of parameters, as a W&B sweep's config has them, under their paths."""
    nested: dict[str, Any] = {}
    for name, spec in specs.items():
        *sections, key = layout[name].path if name in layout else (name,)
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {"parameters": {}})["parameters"]
        inner[key] = dict(spec)
    return nested


def flatten_config(nested: Mapping[str, Any], names: Iterable[str], layout: Layout) -> Config:
    """Read hyperparameters out of a run's config; those that are not there are left out.

    What a script has written over one may be of any kind: it is told by its JSON text.
    """
    config: Config = {}
    for name in names:
        place = layout.get(name, Place(path=(name,)))
        found: Any = nested
        for key in place.path:
            if not isinstance(found, Mapping) or key not in found:
                break
            found = found[key]
        else:
            config[name] = encode_value(found) if place.is_json or not _is_searchable(found) else found
    return config

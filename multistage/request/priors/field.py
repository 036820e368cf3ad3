"""The field's prior: what public trainings of an algorithm have taught about its hyperparameters.

`field.json` is distilled from ARLBench's tables by `benchmarks/build_prior.py`; its licence lies beside it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from multistage.domain.space.field_ranges import PPO_NAMES, find_bare_name
from multistage.domain.space.search_space import SearchSpace
from multistage.search.lessons import Lesson, PriorSource

FIELD = "field"
FIELD_FILE = Path(__file__).with_name("field.json")

NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType({"ppo": PPO_NAMES})
"""Each hyperparameter of the tables by its names, by algorithm."""
OTHERS = frozenset(
    {
        "a2c", "a3c", "acer", "acktr", "c51", "cql", "ddpg", "ddqn", "dqn", "dreamer", "impala", "iql", "mpo", "qrdqn",
        "r2d2", "rainbow", "reinforce", "sac", "td3", "tqc", "trpo", "vpg",
    }
)  # fmt: skip
"""Words that name another algorithm."""
TELLING = "clip_eps"
"""The hyperparameter that PPO alone has, though others clip something of that name, too."""
BESIDE = frozenset({"ent_coef", "gae_lambda", "normalize_advantage", "vf_clip_eps", "vf_coef"})
"""What tells, where it is swept beside that, that it is PPO's."""
VARIANTS = frozenset({"maskableppo", "recurrentppo"})


def find_field_source(space: SearchSpace, described: Iterable[str]) -> PriorSource | None:
    """Find what the field knows of a sweep's hyperparameters.

    Args:
        space: The sweep's.
        described: What may name the algorithm, such as the config id and the program.

    Returns:
        It, by the names that the sweep gives them; None where the algorithm is none that the field knows or no
        hyperparameter is.
    """
    algorithm = recognize(space.names, described)
    if algorithm is None:
        return None
    known = _read_field()["algorithms"][algorithm]
    own = {canonical: name for name in reversed(space.names) if (canonical := find_canonical(algorithm, name))}
    shared = [name for name in known["names"] if name in own]
    if not shared:
        return None
    places = [(own[name], known["names"].index(name)) for name in shared]
    rows = (json.loads(row) for row in known["rows"])
    return PriorSource(
        name=FIELD,
        names=tuple(name for name, _ in places),
        lessons=tuple(Lesson(config={name: row[at] for name, at in places}, standing=row[-1]) for row in rows),
    )


def recognize(names: Iterable[str], described: Iterable[str]) -> str | None:
    """Recognize an algorithm that the field knows: by a word of what is trained, else by names that it alone has."""
    words = {word for text in described for word in re.split(r"[^a-z0-9]+", text.lower())}
    if words & VARIANTS or any(word.startswith("ppo") for word in words):
        return "ppo"
    if words & OTHERS:
        return None
    known = {find_canonical("ppo", name) for name in names}
    return "ppo" if TELLING in known and known & BESIDE else None


def find_canonical(algorithm: str, name: str) -> str | None:
    """Find the tables' name of a hyperparameter, which may be nested or hyphened; None where they have none."""
    bare = find_bare_name(name).lower()
    return next((canonical for canonical, names in NAMES[algorithm].items() if bare in names), None)


@cache
def _read_field() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FIELD_FILE.read_text(encoding="utf-8"))
    return content

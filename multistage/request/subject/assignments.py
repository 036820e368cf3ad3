"""``key=value`` texts: what `--train-arg` and `--baseline` say."""

from collections.abc import Iterator, Sequence

from multistage.domain.runs.results import Config
from multistage.domain.runs.values import looks_like_number, read_value
from multistage.errors import UsageError

SHOWN = 40
"""Letters of a value."""


def parse_assignments(option: str, texts: Sequence[str]) -> Config:
    """Read an option's texts; of two for one name the later one holds.

    Args:
        option: Its name without the hyphens.
        texts: As they were typed.

    Raises:
        UsageError: One of them is no ``key=value``.
    """
    values: Config = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"--{option} {text!r} is not key=value.", f"Write it as --{option} total_timesteps=2000.")
        values[name] = read_value(value)
    return values


def note_texts(option: str, texts: Sequence[str]) -> Iterator[str]:
    """Say which values stay text although they look like numbers, such as ``1.10``, a sentence each."""
    for text in texts:
        name, _, value = text.partition("=")
        if looks_like_number(value):
            shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
            yield f"--{option} gives {name} the text {shown}: as a number it would lose some of what was typed."

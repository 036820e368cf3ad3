"""How values are read that people type: on the command line, in settings and in sweep files.

A text is what YAML 1.2 makes of it, as long as nothing that was typed gets lost:

- ``true`` and ``false`` (also ``True``, ``TRUE`` and so on) are booleans. ``yes``, ``no``, ``on`` and ``off`` stay
  text: they name modes as often as they answer questions.
- ``3``, ``+3``, ``0.5``, ``.5``, ``1e-3``, ``3e-5`` and ``1e6`` are numbers.
- ``007``, ``1.10`` and ``2024_01_15`` stay text, for they are ids, versions and dates; so does what no finite number
  holds, such as ``12e45678``, ``inf`` and ``nan``, and a whole number beyond 64 bits.
- A JSON string in its double quotes is the text within them: ``"8"`` is a text where ``8`` is a number.
"""

import json
import math
import re
from typing import Any

from multistage.domain.runs.results import Value

_BOOLEANS = {word: word.lower() == "true" for name in ("true", "false") for word in (name, name.title(), name.upper())}
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9][0-9]*)?\.(?:0|[0-9]*[1-9])?")
_EXPONENTIAL = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)[eE][+-]?[0-9]+")
_ANY_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BLANKS = " \t\r\n"
_DIGITS_OF_INT64 = 19


def read_value(text: str) -> Value:
    """Read a value as it was typed; blanks around a number or a boolean do not count.

    Args:
        text: What stands after the ``=``, or between two ``|``.

    Returns:
        A boolean, a finite number, or the text.
    """
    bare = text.strip(_BLANKS)
    if bare in _BOOLEANS:
        return _BOOLEANS[bare]
    number = read_number(bare)
    if number is not None:
        return number
    quoted = _unquote(bare)
    return text if quoted is None else quoted


def read_number(text: str) -> int | float | None:
    """Read a text that says a number without a loss; None for any other."""
    if _INTEGER.fullmatch(text):
        return _bound_integer(text)
    if _EXPONENTIAL.fullmatch(text) or (_DECIMAL.fullmatch(text) and any(map(str.isdigit, text))):
        return _bound_float(text)
    return None


def require_number(value: Any) -> int | float | None:
    """Return the finite number that stands where only a number can.

    Args:
        value: Of any kind; a text may write its number in any way, such as ``1.10``.

    Returns:
        The number; None where it is none.
    """
    if isinstance(value, str):
        bare = value.strip(_BLANKS)
        if not _ANY_NUMBER.fullmatch(bare):
            return None
        return _bound_integer(bare) if bare.lstrip("+-").isdigit() else _bound_float(bare)
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
        return None
    return value


def is_finite(value: int | float) -> bool:
    """Return whether a float holds the value, which is neither infinite nor NaN."""
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number with hundreds of digits
        return False


def looks_like_number(text: str) -> bool:
    """Return whether a text that stays one was perhaps meant as a number, such as ``0.10``."""
    return bool(_ANY_NUMBER.fullmatch(text.strip(_BLANKS))) and isinstance(read_value(text), str)


def write_value(value: Value) -> str:
    """Write a value so that `read_value` gives the same one, as plainly as possible."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    return value if type(read_value(value)) is str and read_value(value) == value else json.dumps(value)


def _bound_integer(text: str) -> int | None:
    if len(text.lstrip("+-0")) > _DIGITS_OF_INT64:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _bound_float(text: str) -> float | None:
    number = float(text)
    vanished = number == 0 and any(digit in "123456789" for digit in re.split("[eE]", text)[0])
    return None if vanished or not math.isfinite(number) else number


def _unquote(text: str) -> str | None:
    if not (len(text) > 1 and text[0] == text[-1] == '"'):
        return None
    try:
        inner = json.loads(text)
    except ValueError:
        return None
    return inner if isinstance(inner, str) else None

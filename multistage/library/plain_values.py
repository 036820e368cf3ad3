"""What a program's own values are in plain Python: numpy's numbers and arrays, and paths, written as a user would."""

import os
from collections.abc import Mapping
from typing import Any


def make_plain(value: Any) -> Any:
    """Return a value in plain Python, with all that it holds.

    Args:
        value: Such as ``numpy.float64(0.1)``, an array, a ``Path``, or a table or a list of such.
    """
    if hasattr(value, "tolist"):  # numpy's scalars and arrays, and what follows them: tensors, series
        plain = value.tolist()
        return make_plain(plain) if isinstance(plain, list) else plain
    match value:
        case os.PathLike():
            return os.fspath(value)
        case Mapping():
            return {make_plain(key): make_plain(each) for key, each in value.items()}
        case list():
            return [make_plain(each) for each in value]
        case tuple():
            return tuple(make_plain(each) for each in value)
        case set():
            return {make_plain(each) for each in value}
    return value

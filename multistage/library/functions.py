"""Python functions as what a sweep trains: pickled by value, and called in processes of their own."""

import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from multistage.errors import UsageError

RUNNER = "multistage.training.function"
"""The module that trains with a pickled function."""
FOLDER = "functions"
"""Where pickled functions lie, beside the sweeps' folders."""


def name_function(function: Callable[..., Any]) -> str:
    """Return a function's name as a config id; a call's own for an object that has none."""
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


def save_function(function: Callable[..., Any], runs_dir: Path) -> Path:
    """Pickle a function by value, so that trainings see it as it is now, whatever becomes of its file.

    Args:
        function: Takes a config. The module that defines it goes with it, unless that is an installed one; other
            modules are imported by trainings, which run in the current folder.
        runs_dir: Where the sweeps' folders lie.

    Returns:
        The file, named by its content.

    Raises:
        UsageError: It cannot be called with a config alone, or cannot be pickled.
    """
    try:
        inspect.signature(function).bind({})
    except TypeError as error:
        raise UsageError(
            f"{name_function(function)} cannot be called with a config alone: {error}.",
            "Define it as `def train(config): ...`.",
        ) from error
    content = _pickle(function)
    path = runs_dir / FOLDER / f"{name_function(function)}-{hashlib.sha256(content).hexdigest()[:16]}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(0o600)
        path.write_bytes(content)
    return path.absolute()


def _pickle(function: Callable[..., Any]) -> bytes:
    import cloudpickle

    try:
        with _by_value(sys.modules.get(getattr(function, "__module__", None) or "__main__")):
            return bytes(cloudpickle.dumps(function))
    except Exception as error:  # whatever an object's own pickling raises
        raise UsageError(
            f"{name_function(function)} cannot be sent to another process: {error}.",
            "Open files, connections and devices inside of it.",
        ) from error


@contextmanager
def _by_value(module: ModuleType | None) -> Iterator[None]:
    import cloudpickle

    if module is None or module.__name__ == "__main__" or _is_installed(module):
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return file is None or any(Path(file).is_relative_to(place) for place in places)

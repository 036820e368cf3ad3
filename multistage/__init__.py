"""Hyperparameter sweeps in three narrowing stages of real training runs.

`sweep`, `plan`, `resume`, `load` and `Result` are for programs and notebooks, and stay as they are within a major
version; docs/library.md shows them. Every other module serves these and the command line, and may change.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multistage.library import Result, load, plan, resume, sweep

__all__ = ["Result", "load", "plan", "resume", "sweep"]


def __getattr__(name: str) -> Any:
    """Load the public functions when they are asked for: workers and trainings import this package too."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from multistage import library

    return getattr(library, name)


def __dir__() -> list[str]:
    return __all__

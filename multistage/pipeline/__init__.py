"""The flows and their tasks under a name of their own: a user's `flows/` and `tasks/` are never taken for them.

In a checkout both folders are links to the top-level ones; the wheel holds their files.
"""

import sys
from importlib import import_module
from pkgutil import iter_modules


def answer_to(name: str) -> None:
    """Make a checkout's top-level folder, and each module in it, importable by the first release's name.

    Args:
        name: ``flows`` or ``tasks``; what it gives is the same module as ``multistage.pipeline.flows``.
    """
    package = import_module(f"{__name__}.{name}")
    sys.modules[name] = package
    for module in iter_modules(package.__path__):
        sys.modules[f"{name}.{module.name}"] = import_module(f"{package.__name__}.{module.name}")

"""Kills processes of a sweep when functions of the product are reached; the product itself knows nothing of it.

Python imports this module at its start where its folder is on ``PYTHONPATH``. ``MULTISTAGE_TEST_KILL`` holds what
`tests.flows.kill_points.order_kills` has made; without it nothing happens.
"""

import functools
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def strike(order: dict[str, Any], arguments: object) -> None:
    """Kill the victim, once an order and, where the order names a text, only if the arguments hold it."""
    if order["match"] not in repr(arguments):
        return
    try:
        Path(order["marker"]).touch(exist_ok=False)
    except FileExistsError:
        return
    if order["victim"] == "self":
        os.kill(os.getpid(), signal.SIGKILL)
    from tests.flows.victims import kill_victim

    place = Path(order["services"]), Path(order["folder"])
    deadline = time.monotonic() + order["patience"]
    while not kill_victim(order["victim"], *place) and time.monotonic() < deadline:
        time.sleep(0.05)


def wrap(function: Callable[..., Any], order: dict[str, Any]) -> Callable[..., Any]:
    """Strike before a function's work, or after it."""

    @functools.wraps(function)
    def struck(*arguments: Any, **options: Any) -> Any:
        if order["side"] == "before":
            strike(order, (arguments, options))
        result = function(*arguments, **options)
        if order["side"] == "after":
            strike(order, (arguments, options))
        return result

    return struck


class Finder(importlib.abc.MetaPathFinder):
    """Finds the orders' modules as everybody does, and wraps their functions once they are there."""

    def __init__(self, orders: list[dict[str, Any]]) -> None:
        self._orders = orders

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module's spec, with a loader that wraps."""
        if not any(order["module"] == fullname for order in self._orders):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module = functools.partial(  # type: ignore[method-assign]
                    self._execute, spec.loader.exec_module
                )
                return spec
        return None

    def _execute(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        execute(module)
        for order in self._orders:
            if order["module"] == module.__name__:
                *owners, name = order["function"].split(".")
                owner = functools.reduce(getattr, owners, module)
                setattr(owner, name, wrap(getattr(owner, name), order))


if "MULTISTAGE_TEST_KILL" in os.environ:
    sys.meta_path.insert(0, Finder(json.loads(os.environ["MULTISTAGE_TEST_KILL"])))

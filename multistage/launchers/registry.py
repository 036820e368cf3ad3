"""Which launchers there are: those of this package, a line each, and those that installed packages bring."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from multistage.errors import UsageError
from multistage.launchers.base import LauncherKind
from multistage.options.catalogue import GROUPS, OPTIONS, Groups, compose_groups
from multistage.options.option import Options
from multistage.spelling import suggest

GROUP = "multistage.launchers"
"""Entry points of this group name further ones: ``NAME = "package.module:Kind"``."""
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "local": "multistage.launchers.local.kind:LocalKind",
        "modal": "multistage.launchers.modal.kind:ModalKind",
        "external": "multistage.launchers.external.kind:ExternalKind",
        "slurm": "multistage.launchers.slurm.kind:SlurmKind",
        "ssh": "multistage.launchers.ssh.kind:SshKind",
    }
)
"""Where each kind is; imported when it is asked for."""


def list_launchers() -> tuple[str, ...]:
    """List the names of all launchers, those of this package first."""
    return (*BUILT_IN, *sorted({point.name for point in entry_points(group=GROUP)} - set(BUILT_IN)))


def find_kind(name: str) -> LauncherKind:
    """Find a launcher's kind by its name.

    Raises:
        UsageError: There is none, or the package that brings it cannot be imported or brings something else.
    """
    if name in BUILT_IN:
        return _load(BUILT_IN[name])
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        known = list_launchers()
        raise UsageError(
            f"There is no launcher {name!r}.",
            f"{suggest(name, known)}There are {', '.join(known)}; another one comes with a package that brings it.",
        )
    return _load_foreign(found)


def list_groups(groups: Groups = GROUPS) -> Groups:
    """List groups of options together with those of the launchers that installed packages bring.

    A launcher that cannot be loaded brings none; `find_kind` says why where it is asked for.

    Args:
        groups: Those of this package.
    """
    return _add_foreign(groups, tuple(sys.path))


@cache
def _add_foreign(groups: Groups, _path: tuple[str, ...]) -> Groups:
    """Look once for each import path, since the metadata of all that is installed has to be read."""
    found: dict[str, type[Options]] = {}
    for name in list_launchers()[len(BUILT_IN) :]:
        with suppress(UsageError):
            options = find_kind(name).options
            if options is not None:
                found[name] = options
    return compose_groups(groups, found)


@cache
def _load(place: str) -> LauncherKind:
    module, _, kind = place.partition(":")
    made: LauncherKind = getattr(import_module(module), kind)()
    return made


def _load_foreign(point: EntryPoint) -> LauncherKind:
    try:
        made = point.load()()
    except Exception as error:  # of code that is not this project's, whatever it raises
        raise UsageError(
            f"The launcher {point.name!r}, {point.value}, cannot be loaded: {type(error).__name__}: {error}.",
            "Fix or update the package that brings it.",
        ) from error
    if not isinstance(made, LauncherKind) or made.name != point.name:
        raise UsageError(
            f"The launcher {point.name!r}, {point.value}, is not a LauncherKind of that name.",
            "Fix or update the package that brings it.",
        )
    if made.options is not None and (not point.name.isidentifier() or point.name in OPTIONS):
        raise UsageError(
            f"The launcher {point.name!r}, {point.value}, has options, which cannot have that name.",
            "Its package has to call it by another: a word of letters, digits and underscores that is no option's.",
        )
    return made

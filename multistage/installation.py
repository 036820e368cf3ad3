"""Whether this package is installed whole, and what it needs; imports next to nothing of it."""

import hashlib
import platform
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import Version

from multistage.domain.model import Model
from multistage.errors import UsageError

DISTRIBUTION = "multistage-sweep"
FLOWS = ("multistage.pipeline.flows.multistage_sweep", "multistage.pipeline.flows.single_sweep")
"""Import, one way or another, nearly all there is."""
IMPORT_LIMIT = 120.0
"""Seconds that importing them may take, on a cold network disk."""
TESTED_CLIENTS = ("0.19.11", "0.22.3", "0.26.1", "0.28.2", "0.29.0", "0.30.0", "0.31.0")
"""Releases of W&B's client with which the tests ask the embedded server, the oldest first."""
Verdict = Literal["good", "note", "bad"]
"""Fine; worth knowing, though no sweep fails by it; or what a sweep would fail by."""
Look = tuple[Verdict, str, str]
"""A verdict, what was found, and the remedy."""


class Finding(Model):
    """What one look found."""

    subject: str
    verdict: Verdict
    what: str
    remedy: str = ""


def read_version() -> str:
    """Return this package's version; a word where its metadata are missing."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "of unknown version"


def check_installation() -> None:
    """Make sure that a sweep could be begun, before anything is started for it.

    Raises:
        UsageError: A package is missing, or a part of this one.
    """
    for what, remedy in (*_find_missing_files(), *_find_missing_packages(version)):
        raise UsageError(f"The installation is broken: {what}", f"{remedy}; `multistage-sweep doctor` says more.")


def look_at_installation(find_version: Callable[[str], str] = version) -> Iterator[Look]:
    """Look for what is missing of this package and of those that it needs, and for versions that do not suit it.

    Args:
        find_version: Gives an installed package's version; Prefect's server needs its cap on FastAPI.
    """
    faults = [*_find_missing_files(), *_find_missing_packages(find_version), *_find_unsuitable(find_version)]
    if not faults and (trouble := try_imports()):
        faults = [(f"It cannot be imported: {trouble}", _reinstall(deps=True))]
    for what, remedy in faults:
        yield "bad", what, remedy
    yield from _look_at_client(find_version)
    if changed := _list_changed():
        yield "note", f"Changed since it was installed: {_count(changed)}.", _reinstall()
    if not faults:
        told = [f"{name} {find_version(name)}" for name in ("prefect", "fastapi", "wandb", "modal")]
        yield "good", f"{DISTRIBUTION} {read_version()}; {', '.join(told)}; Python {platform.python_version()}", ""


def try_imports() -> str:
    """Import the flows in a process of its own; returns the last line of what goes wrong, empty for nothing."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"import {', '.join(FLOWS)}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=IMPORT_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {IMPORT_LIMIT:g} s"
    return (done.stderr.strip().splitlines() or ["its process died"])[-1] if done.returncode else ""


def _find_missing_packages(find_version: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    for needed in _list_needed():
        try:
            find_version(needed.name)
        except PackageNotFoundError:
            yield f"{needed.name} is not installed.", f"pip install '{needed.name}{needed.specifier}'"


def _find_unsuitable(find_version: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    for needed in _list_needed():
        try:
            found = find_version(needed.name)
        except PackageNotFoundError:
            continue
        if not needed.specifier.contains(found, prereleases=True):
            what = f"{needed.name} {found} is installed, and {needed.specifier} is needed."
            yield what, f"pip install '{needed.name}{needed.specifier}'"


def _look_at_client(find_version: Callable[[str], str]) -> Iterator[Look]:
    """Say where W&B's client is of a later release than those tested: its protocol is private, and changes."""
    try:
        found = find_version("wandb")
    except PackageNotFoundError:
        return
    newest = TESTED_CLIENTS[-1]
    if Version(found).release[:2] > Version(newest).release[:2]:
        what = f"wandb {found} is newer than {newest}, the last release that was tested with this one."
        yield "note", what, f"Where it misbehaves: pip install 'wandb=={newest}'."


def _list_needed() -> list[Requirement]:
    try:
        needed = [Requirement(text) for text in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:
        return []
    return [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]


def _find_missing_files() -> Iterator[tuple[str, str]]:
    installed = _find_distribution()
    if installed is None:
        yield f"{DISTRIBUTION} has no metadata.", _reinstall()
        return
    if gone := [
        str(file) for file in installed.files or () if file.suffix != ".pyc" and not Path(file.locate()).exists()
    ]:
        yield f"Missing: {_count(gone)}.", _reinstall()
    elif unfound := [name for name in FLOWS if _is_missing(name)]:
        yield f"There is no module {unfound[0]}.", _reinstall()


def _is_missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:
        return True


def _list_changed() -> list[str]:
    """List the installed files whose content is not what was installed."""
    installed = _find_distribution()
    changed = []
    for file in (installed.files if installed else None) or ():
        path = Path(file.locate())
        if file.hash is None or file.suffix != ".py" or not path.exists():
            continue
        digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            changed.append(str(file))
    return changed


def _find_distribution() -> Distribution | None:
    try:
        return distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return None


def _count(files: list[str]) -> str:
    return f"{files[0]} and {len(files) - 1} other files" if len(files) > 1 else files[0]


def _reinstall(*, deps: bool = False) -> str:
    suffix = f"=={read_version()}" if _find_distribution() else ""
    return f"pip install --force-reinstall{'' if deps else ' --no-deps'} {DISTRIBUTION}{suffix}"

"""Which searchers there are: those of this project, and those that installed packages bring.

A searcher of this project is a file in `multistage.search.searchers` and a line here. Another package's is an entry
point of the group `GROUP`; where it has a name of this project's, this project's is taken. Entry points are read from
the metadata of installed packages when a name is asked for that is not this project's, and a searcher is imported when
it is made or its variant has to be checked: it may cost seconds.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from multistage.errors import MultistageError, UsageError
from multistage.search.base import Searcher, SearcherKind, SearchProblem
from multistage.search.vetting import VettedSearcher
from multistage.spelling import suggest

GROUP = "multistage.searchers"
AUTO = "auto"
"""Takes the Gaussian process where the server lets a client queue runs, else the server's own engine."""
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "gp": "multistage.search.searchers.gp:GaussianProcessSearcher",
        "wandb": "multistage.search.searchers.wandb:ServerSearcher",
        "random": "multistage.search.searchers.random:RandomSearcher",
        "sobol": "multistage.search.searchers.sobol:SobolSearcher",
        "optuna": "multistage.search.searchers.optuna:OptunaSearcher",
    }
)
"""This project's, by name."""
VARIANTS: Mapping[str, tuple[str, ...]] = MappingProxyType({"optuna": ("tpe", "gp", "random")})
"""Of those that are not whole without one, such as ``optuna:tpe``."""


def list_searchers() -> tuple[str, ...]:
    """List the names that ``--search`` takes, this project's first."""
    return (AUTO, *BUILT_IN, *sorted(set(_find_foreign()) - {AUTO, *BUILT_IN}))


def list_searches() -> tuple[str, ...]:
    """List all that ``--search`` takes, variants included; nothing where another package's searchers may have some."""
    if set(_find_foreign()) - {AUTO, *BUILT_IN}:
        return ()
    named = ((name, VARIANTS.get(name, ())) for name in BUILT_IN)
    return (
        AUTO,
        *(f"{name}:{variant}" if variant else name for name, variants in named for variant in variants or ("",)),
    )


def check_search(search: str) -> None:
    """Refuse a search that there is not, before anything is started.

    Args:
        search: A searcher's name, with a colon and a variant where it has some.

    Raises:
        UsageError: There is no such searcher or variant, or its package cannot be imported.
    """
    name, _, variant = search.partition(":")
    if name not in BUILT_IN or variant or name in VARIANTS:
        _load(search).check(variant)


def create_searcher(search: str, problem: SearchProblem) -> Searcher:
    """Make the searcher of one sweep.

    Args:
        search: A searcher's name, with a colon and a variant where it has some.
        problem: The sweep.

    Raises:
        UsageError: As `check_search`.
    """
    kind, (name, _, variant) = _load(search), search.partition(":")
    kind.check(variant)
    searcher = kind(problem, variant)
    return searcher if name in BUILT_IN else VettedSearcher(name, searcher, problem)


def _find_foreign() -> Mapping[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return found


def _load(search: str) -> SearcherKind:
    name, _, _ = search.partition(":")
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        kind: SearcherKind = getattr(importlib.import_module(module), attribute)
        return kind
    entries = _find_foreign().get(name, [])
    if not entries:
        raise _refuse(search, name)
    if len({entry.value for entry in entries}) > 1:
        packages = " and ".join(sorted(entry.dist.name if entry.dist else entry.value for entry in entries))
        raise UsageError(f"The searcher {name!r} is brought by {packages}.", "Uninstall all of them but one.")
    return _import(entries[0])


def _import(entry: EntryPoint) -> SearcherKind:
    package = entry.dist.name if entry.dist else entry.value
    try:
        kind = entry.load()
    except MultistageError:
        raise
    except Exception as error:
        raise UsageError(
            f"The searcher {entry.name!r} of {package} cannot be loaded: {type(error).__name__}: {error}.",
            f"Fix or reinstall {package}, or choose another --search.",
        ) from error
    if not callable(kind) or not callable(getattr(kind, "check", None)):
        raise UsageError(
            f"The searcher {entry.name!r} of {package} is not one: {entry.value} cannot be called, or lacks `check`.",
            "docs/search.md says what a searcher needs.",
        )
    found: SearcherKind = kind
    return found


def _refuse(search: str, name: str) -> UsageError:
    known = list_searchers()
    shown = [f"{one}:SAMPLER" if one in VARIANTS else one for one in known]
    return UsageError(f"There is no searcher {search!r}.", f"{suggest(name, known, 0.5)}There are {', '.join(shown)}.")

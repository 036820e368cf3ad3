"""``--prior``: what is known before a sweep begins, as it was asked for."""

from pathlib import Path
from typing import NoReturn

from multistage.domain.model import Model
from multistage.domain.runs.results import Config
from multistage.domain.sweep.plan import NO_PRIOR, SweepSettings, count_prior
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import UsageError
from multistage.request.priors.earlier import find_earlier, load_earlier
from multistage.request.priors.field import FIELD, NAMES, find_field_source
from multistage.request.subject.sweep_subject import Subject
from multistage.search.lessons import PriorSource
from multistage.store.sweep_folder import STATE_FILE

AUTO = "auto"
"""Takes whatever teaches anything."""


class Prior(Model):
    """What a sweep is told before it begins."""

    name: str = NO_PRIOR
    """Its sources' names, with commas between."""
    configs: tuple[Config, ...] = ()
    """What they speak for, the most promising first."""


def read_words(prior: str) -> tuple[str, ...]:
    """Read what ``--prior`` was given.

    Raises:
        UsageError: It is nothing, or ``auto`` or ``none`` beside something else.
    """
    words = tuple(word.strip() for word in prior.split(","))
    if not all(words) or (len(words) > 1 and {AUTO, NO_PRIOR} & set(words)):
        raise UsageError(
            f"--prior {prior!r} is no prior.",
            f"It takes {AUTO}, {NO_PRIOR}, or {FIELD} and the names of earlier sweeps, with commas between.",
        )
    return tuple(dict.fromkeys(words))


def find_sources(request: SweepRequest, subject: Subject, runs_dir: Path | None) -> tuple[PriorSource, ...]:
    """Find what a request's ``--prior`` means.

    Args:
        request: What was asked for.
        subject: What is trained and searched.
        runs_dir: Where earlier sweeps lie; None where nobody knows.

    Raises:
        UsageError: A sweep that is named does not exist, is damaged or teaches nothing of what is swept; or the field
            is named, and knows nothing of it.
    """
    words = read_words(request.prior)
    if words == (NO_PRIOR,):
        return ()
    described = [request.config_id, Path(subject.program or "").name, *subject.command]
    field = find_field_source(subject.space, described)
    if words == (AUTO,):
        earlier = find_earlier(subject, request.config_id, runs_dir) if runs_dir else []
        return (*([field] if field else []), *earlier)
    return tuple(
        (field or _refuse_field(request, subject))
        if word == FIELD
        else load_earlier(word, subject.space, runs_dir or Path())
        for word in words
    )


def choose_prior(
    request: SweepRequest, sources: tuple[PriorSource, ...], subject: Subject, baseline: Config, runs: int
) -> Prior:
    """Choose the configs that stage 1 trains for the sources' sake.

    Args:
        request: What was asked for.
        sources: What is known.
        subject: What is searched.
        baseline: The usual values, which are trained anyway.
        runs: Of stage 1.

    Raises:
        UsageError: A source that was named tells none of what is swept from another.
    """
    if not sources:
        return Prior()
    from multistage.search.prior import choose_prior_configs, is_telling  # its imports take a second

    telling = [source for source in sources if is_telling(subject.space, source)]
    silent = [source for source in sources if source not in telling]
    if silent and read_words(request.prior) != (AUTO,):
        raise UsageError(
            f"--prior names {silent[0].name}, in which {', '.join(silent[0].names)} had other values altogether, or "
            "made no difference.",
            "Leave it out.",
        )
    taken = [baseline] if baseline else []
    found = choose_prior_configs(subject.space, telling, count_prior(runs, len(taken)), request.seed, taken)
    name = ",".join(source.name for source in telling)
    return Prior(name=name or NO_PRIOR, configs=tuple(found))


def keep_prior(request: SweepRequest, frozen: SweepSettings) -> Prior | None:
    """Keep what a sweep began with, whatever became of its sources; None where another prior is asked for."""
    asked = ",".join(name_folder(word) for word in read_words(request.prior))
    return Prior(name=frozen.prior, configs=frozen.prior_configs) if asked in (AUTO, frozen.prior) else None


def name_folder(word: str) -> str:
    """Name the sweep that is given by its name, its folder or its ``state.json``."""
    path = Path(word)
    return (path.parent if path.name == STATE_FILE else path).name


def _refuse_field(request: SweepRequest, subject: Subject) -> NoReturn:
    algorithms = ", ".join(name.upper() for name in NAMES)
    known = "; ".join(", ".join(names) for names in NAMES.values())
    swept = ", ".join(subject.space.names)
    raise UsageError(
        f"--prior field knows {algorithms}, and nothing of {request.config_id} with {swept}.",
        f"Leave it out, or name the algorithm in CONFIG_ID, as in {request.config_id.split(':')[0]}:ppo; "
        f"it knows {known}.",
    )

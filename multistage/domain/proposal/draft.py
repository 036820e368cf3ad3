"""A sweep that is proposed: what of a script is searched, by what it is judged, and how much a night holds."""

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from multistage.domain.model import Model
from multistage.domain.proposal.calling import Calling, Invocation, choose_words, drop_words
from multistage.domain.proposal.logged_metric import MetricGuess, Rows, guess_metric, list_others
from multistage.domain.proposal.pace import Length, Pace, choose_budget, estimate_pace, find_length
from multistage.domain.proposal.ranges import MOST_SWEPT, is_apart, is_seed, propose_range, rank_name
from multistage.domain.proposal.script_options import ScriptOption
from multistage.domain.runs.results import Config, Goal, Value
from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.parameters import CategoricalParameter, FloatParameter, Parameter

LEFT_OUT = 12
"""Hyperparameters that are shown beside those that are swept."""
UNRANKED = 100
"""Place of what no name tells, behind all ranks."""


class Sighting(Model):
    """What a run was seen to do."""

    rows: tuple[dict[str, float], ...] = ()
    """What it logged, a mapping a row, flat; its summary is the last."""
    seconds: float = 0.0
    """How long it ran."""
    startup: float = 0.0
    """How much of that was over before it began to log: imports, data."""
    whole: bool = False
    """Whether it came to its end."""
    peak: float | None = None
    """Bytes of memory that it took; None where that was not seen."""
    gpus: int | None = None
    """GPUs that it used; None where that was not seen."""


class Candidate(Model):
    """A hyperparameter, and what would be searched of it."""

    parameter: Parameter
    usual: Value | None
    """None where nobody knows it."""
    swept: bool
    is_known: bool = False
    """Whether the range is one that is known for the name."""

    @property
    def name(self) -> str:
        """As it is swept."""
        return self.parameter.name


class Proposal(Model):
    """A sweep before anybody has agreed to it."""

    config_id: str
    invocation: Invocation
    calling: Calling
    options: tuple[ScriptOption, ...] = ()
    """Of the script."""
    candidates: tuple[Candidate, ...]
    metric: str | None
    goal: Goal | None
    metric_reason: str = ""
    """In a clause."""
    others: tuple[str, ...] = ()
    """Other keys that could be meant."""
    seed_param: str | None = None
    length: Length | None = None
    pace: Pace | None = None
    workers: int = Field(ge=1)
    gpus_per_run: float | None = None
    budget: int
    notes: tuple[str, ...] = ()
    """What could not be known, a sentence each."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [candidate.name for candidate in self.candidates]
        if len(set(names)) < len(names):
            raise ValueError("a hyperparameter is listed twice among the candidates")
        return self

    @property
    def swept(self) -> tuple[Candidate, ...]:
        """What is searched."""
        return tuple(candidate for candidate in self.candidates if candidate.swept)

    @property
    def baseline(self) -> Config:
        """The usual values of what is searched; empty where one is not known."""
        usual = {one.name: one.usual for one in self.swept}
        return {name: value for name, value in usual.items() if value is not None} if None not in usual.values() else {}

    @property
    def fixed(self) -> Config:
        """What every run is given as it is."""
        ours = {*(one.name for one in self.swept), self.seed_param}
        return {name: value for name, value in self.calling.usual.items() if name in self.calling.unmoved - ours}

    @property
    def words(self) -> tuple[str | None, str | None]:
        """The style, and the command, as `choose_words` gives them."""
        names = [one.name for one in self.swept] + ([self.seed_param] if self.seed_param else [])
        typed = drop_words(self.invocation.typed, names, self.options)
        return choose_words(self.invocation, self.calling.style, typed)


def propose_candidates(
    calling: Calling, known: Mapping[str, Parameter] = GUIDE_PARAMETERS, typed: Sequence[str] = ()
) -> tuple[Candidate, ...]:
    """Propose what is searched, what matters most first, and what else could be.

    Args:
        calling: The script's parameters.
        known: Ranges by name.
        typed: What its user types behind it: a choice that is made there is none.
    """
    found: list[tuple[int, Candidate]] = []
    for name, usual in calling.usual.items():
        parameter = None if is_apart(name) else propose_range(name, usual, known, calling.choices.get(name, ()))
        is_choice = isinstance(parameter, CategoricalParameter)
        if parameter is None or (is_choice and len(drop_words(typed, [name])) < len(typed)):
            continue
        is_known = known.get(name) == parameter
        rank = None if is_choice else rank_name(name, known, usual)
        place = UNRANKED + (not isinstance(parameter, FloatParameter)) if rank is None else rank
        one = Candidate(parameter=parameter, usual=usual, swept=rank is not None, is_known=is_known)
        found.append((place, one))
    ordered = [one for _, one in sorted(found, key=lambda pair: pair[0])]
    if not any(one.swept for one in ordered):
        ordered = [one.model_copy(update={"swept": one.parameter.kind != "categorical"}) for one in ordered]
    swept = [one.name for one in ordered if one.swept][:MOST_SWEPT]
    marked = [one.model_copy(update={"swept": one.name in swept}) for one in ordered]
    left = [one for one in marked if not one.swept][:LEFT_OUT]
    return tuple(one for one in marked if one.swept or one in left)


def find_seed(calling: Calling) -> str | None:
    """Find what a script takes its seed as."""
    found = [name for name, value in calling.usual.items() if is_seed(name) and isinstance(value, int)]
    return min(found, key=len, default=None)


def draft_proposal(
    config_id: str,
    invocation: Invocation,
    calling: Calling,
    sighting: Sighting | None,
    *,
    config: Mapping[str, Value] | None = None,
    options: Sequence[ScriptOption] = (),
    workers: int = 1,
    gpus_per_run: float | None = None,
    notes: Sequence[str] = (),
) -> Proposal:
    """Draft a sweep from what was seen.

    Args:
        config_id: What it is called.
        invocation: How its user starts the script.
        calling: How it takes its parameters.
        sighting: What a run was seen to do; None where none was.
        config: All that its config says, its length among it.
        options: The options that it lists.
        workers: Trainings at once.
        gpus_per_run: GPUs of one training, where that is to be said.
        notes: What could not be known, a sentence each.
    """
    rows: Rows = sighting.rows if sighting else ()
    guess: MetricGuess | None = guess_metric(rows)
    length = find_length(calling.usual) or find_length(config or {})
    pace = None
    if sighting is not None:
        pace = estimate_pace(rows, sighting.seconds, length, whole=sighting.whole, startup=sighting.startup)
    return Proposal(
        config_id=config_id,
        invocation=invocation,
        calling=calling,
        options=tuple(options),
        candidates=propose_candidates(calling, typed=invocation.typed),
        metric=guess.metric if guess else None,
        goal=guess.goal if guess else None,
        metric_reason=guess.reason if guess else "",
        others=list_others(rows, guess.metric) if guess else (),
        seed_param=find_seed(calling),
        length=length,
        pace=pace,
        workers=workers,
        gpus_per_run=gpus_per_run,
        budget=choose_budget(pace, workers),
        notes=tuple(notes),
    )

"""What its user changes of a proposal, a line each."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from multistage.domain.proposal.draft import Candidate, Proposal
from multistage.domain.runs.metric import guess_goal
from multistage.domain.runs.results import Value
from multistage.domain.runs.values import read_value, require_number
from multistage.domain.space.grammar import parse_params
from multistage.domain.space.parameters import Parameter
from multistage.domain.space.usual_values import fit_usual
from multistage.domain.sweep.budget import SMALLEST_BUDGET
from multistage.errors import SpaceError, UsageError
from multistage.options.catalogue import OPTIONS

FORMS = (
    "Write `NAME RANGE` (lr log:1e-5-1e-2), `+NAME`, `-NAME`, `usual NAME VALUE`, `metric KEY`, `goal minimize`, "
    "`budget N`, `workers N` or `seed NAME`."
)

MOST_WORKERS: int = OPTIONS["workers"].bounds["le"]


def amend(proposal: Proposal, text: str) -> Proposal:
    """Change a proposal.

    Args:
        proposal: As it stands.
        text: One change, as `FORMS` says.

    Raises:
        UsageError: It is no such change, or makes no sense.
    """
    first, *rest = text.split(None, 1) or [""]
    told = rest[0].strip() if rest else ""
    if first[:1] in ("+", "-") and len(first) > 1 and not told:
        return _check_seed(_toggle(proposal, first[1:], swept=first[0] == "+"))
    if not told:
        raise UsageError(f"{text.strip()!r} is not a change.", FORMS)
    change = _CHANGES.get(first)
    return _check_seed(change(proposal, told) if change else _set_range(proposal, first, told))


def _toggle(proposal: Proposal, name: str, *, swept: bool) -> Proposal:
    if name not in [candidate.name for candidate in proposal.candidates]:
        raise UsageError(f"There is no hyperparameter {name!r} in the table.", f"Give it a range: {name} 0.1-1.")
    changed = _change_candidate(proposal, name, {"swept": swept})
    if not changed.swept:
        raise UsageError(f"Without {name} nothing is swept.", "Add another one first: +NAME.")
    return changed


def _set_range(proposal: Proposal, name: str, text: str) -> Proposal:
    if any(letter in text for letter in ", "):
        raise UsageError(f"{text!r} is not a range for {name}.", FORMS)
    (parameter,) = parse_params(
        f"{name}:{text}", {candidate.name: candidate.parameter for candidate in proposal.candidates}
    ).parameters
    before = next((candidate for candidate in proposal.candidates if candidate.name == name), None)
    told = None if before is None else before.usual
    usual = _keep_usual(parameter, proposal.calling.usual.get(name) if told is None else told)
    changes = {"parameter": parameter, "usual": usual, "swept": True, "is_known": False}
    if before is not None:
        return _change_candidate(proposal, name, changes)
    new = Candidate(parameter=parameter, usual=usual, swept=True)
    return proposal.model_copy(update={"candidates": (*proposal.candidates, new)})


def _keep_usual(parameter: Parameter, usual: Value | None) -> Value | None:
    """Return a usual value, or None where its new range or choices can have no such value."""
    try:
        return None if usual is None else fit_usual(parameter, usual)
    except ValueError:
        return None


def _set_usual(proposal: Proposal, text: str) -> Proposal:
    name, _, value = text.partition(" ")
    parameter = next((one.parameter for one in proposal.candidates if one.name == name), None)
    if not value.strip() or parameter is None:
        raise UsageError(f"`usual {text}` does not name a hyperparameter of the table and its value.", FORMS)
    try:
        return _change_candidate(proposal, name, {"usual": fit_usual(parameter, read_value(value.strip()))})
    except ValueError as error:
        raise UsageError(
            f"`usual {text}` gives {name} a value that is {error}.", f"Give it another one, or change it: {name} RANGE."
        ) from error


def _change_candidate(proposal: Proposal, name: str, changes: Mapping[str, Any]) -> Proposal:
    changed = [
        candidate.model_copy(update=dict(changes)) if candidate.name == name else candidate
        for candidate in proposal.candidates
    ]
    return proposal.model_copy(update={"candidates": tuple(changed)})


def _set_metric(proposal: Proposal, text: str) -> Proposal:
    goal = guess_goal(text) or proposal.goal or "maximize"
    others = tuple(key for key in (*proposal.others, proposal.metric) if key not in (text, None))
    return proposal.model_copy(update={"metric": text, "goal": goal, "metric_reason": "as told", "others": others})


def _set_goal(proposal: Proposal, text: str) -> Proposal:
    if text not in ("maximize", "minimize"):
        raise UsageError(f"{text!r} is not a goal.", "Write `goal maximize` or `goal minimize`.")
    return proposal.model_copy(update={"goal": text, "metric_reason": "as told"})


def _set_budget(proposal: Proposal, text: str) -> Proposal:
    return proposal.model_copy(update={"budget": _read_count("budget", text, SMALLEST_BUDGET)})


def _set_workers(proposal: Proposal, text: str) -> Proposal:
    return proposal.model_copy(update={"workers": _read_count("workers", text, 1, MOST_WORKERS)})


def _set_seed(proposal: Proposal, text: str) -> Proposal:
    if set(text) & set("= \t") or text.startswith("-"):
        raise UsageError(f"`seed {text}` is not a name.", "Write the name alone: `seed random_seed`, or `seed none`.")
    return proposal.model_copy(update={"seed_param": None if text == "none" else text})


def _check_seed(proposal: Proposal) -> Proposal:
    name = proposal.seed_param
    if name in [one.name for one in proposal.swept]:
        raise UsageError(
            f"{name} cannot be swept and give each run its own seed.", f"Write `-{name}` or `seed none` first."
        )
    return proposal


def _read_count(what: str, text: str, least: int, most: float = math.inf) -> int:
    number = require_number(text)
    if not isinstance(number, int) or not least <= number <= most:
        bounds = f"from {least} on" if most == math.inf else f"from {least} to {most}"
        raise SpaceError(f"`{what} {text}` is not a whole number {bounds}.", f"Write `{what} {max(least, 10)}`.")
    return number


_CHANGES: Mapping[str, Callable[[Proposal, str], Proposal]] = {
    "usual": _set_usual,
    "metric": _set_metric,
    "goal": _set_goal,
    "budget": _set_budget,
    "workers": _set_workers,
    "seed": _set_seed,
}

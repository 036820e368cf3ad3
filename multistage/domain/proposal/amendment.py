"""What its user changes of a proposal, a line each."""

from collections.abc import Callable, Mapping
from typing import Any

from multistage.domain.proposal.draft import Candidate, Proposal
from multistage.domain.runs.metric import guess_goal
from multistage.domain.runs.values import read_value, require_number
from multistage.domain.space.grammar import parse_params
from multistage.domain.sweep.budget import SMALLEST_BUDGET
from multistage.errors import SpaceError, UsageError

FORMS = (
    "Write `NAME RANGE` (lr log:1e-5-1e-2), `+NAME`, `-NAME`, `usual NAME VALUE`, `metric KEY`, `goal minimize`, "
    "`budget N`, `workers N` or `seed NAME`."
)


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
        return _toggle(proposal, first[1:], swept=first[0] == "+")
    if not told:
        raise UsageError(f"{text.strip()!r} is not a change.", FORMS)
    change = _CHANGES.get(first)
    return change(proposal, told) if change else _set_range(proposal, first, told)


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
    if before is not None:
        return _change_candidate(proposal, name, {"parameter": parameter, "swept": True, "is_known": False})
    usual = proposal.calling.usual.get(name)
    new = Candidate(parameter=parameter, usual=usual, swept=True)
    return proposal.model_copy(update={"candidates": (*proposal.candidates, new)})


def _set_usual(proposal: Proposal, text: str) -> Proposal:
    name, _, value = text.partition(" ")
    if not value.strip() or name not in [candidate.name for candidate in proposal.candidates]:
        raise UsageError(f"`usual {text}` does not name a hyperparameter of the table and its value.", FORMS)
    return _change_candidate(proposal, name, {"usual": read_value(value.strip())})


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
    return proposal.model_copy(update={"workers": _read_count("workers", text, 1)})


def _set_seed(proposal: Proposal, text: str) -> Proposal:
    return proposal.model_copy(update={"seed_param": None if text == "none" else text})


def _read_count(what: str, text: str, least: int) -> int:
    number = require_number(text)
    if not isinstance(number, int) or number < least:
        raise SpaceError(f"`{what} {text}` is not a whole number from {least} on.", f"Write `{what} {max(least, 10)}`.")
    return number


_CHANGES: Mapping[str, Callable[[Proposal, str], Proposal]] = {
    "usual": _set_usual,
    "metric": _set_metric,
    "goal": _set_goal,
    "budget": _set_budget,
    "workers": _set_workers,
    "seed": _set_seed,
}

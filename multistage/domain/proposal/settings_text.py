"""A proposal as the settings file has it, with comments, and that file with it."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from multistage.domain.durations import format_duration
from multistage.domain.proposal.draft import Candidate, Proposal
from multistage.domain.proposal.pace import join_names
from multistage.domain.runs.results import Value
from multistage.domain.space.grammar import format_range, parse_params
from multistage.domain.space.parameters import Parameter
from multistage.errors import SpaceError, UsageError

HEADING = "# Written by `multistage-sweep init`. `multistage-sweep settings --schema` says what else can be set here.\n"

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "categorical": ("",),
    "float": ("", "log:", "float:", "float:linear:", "float:log:"),
    "int": ("int:", "int:log:", "int:linear:"),
    "power_of_two": ("pow2:", "pow2:log:"),
}
"""In front of a range, by its kind, the fewest first."""
_TABLE = re.compile(r"^(?:[ \t]*#.*\n)*[ \t]*\[", re.MULTILINE)
"""A table's first line, with the comment above it."""


def write_section(proposal: Proposal) -> str:
    """Write the section of a proposal's config id, with comments."""
    lines = list(_list_lines(proposal))
    width = min(max(len(line) for line, _ in lines), 60)
    written = [f"{line:<{width}}  # {_shorten(comment)}" if comment else line for line, comment in lines]
    return "\n".join((f"[configs.{_write_key(proposal.config_id)}]", *written)) + "\n"


def _list_lines(proposal: Proposal) -> Iterator[tuple[str, str]]:
    """List a section's lines, each with its comment."""
    style, command = proposal.words
    yield f"program = {_quote(proposal.invocation.program)}", "what trains"
    if style is not None:
        yield f"style = {_quote(style)}", "how it takes its parameters"
    if command is not None:
        yield f"command = {_quote(command)}", "how it is started, and takes its parameters"
    if proposal.invocation.python is not None:
        yield f"python = {_quote(proposal.invocation.python)}", "the trainings' interpreter"
    if proposal.metric is None:
        yield '# metric = "..."', "no run was seen: name the key to optimize, and the goal"
    else:
        others = f"; also logged: {join_names(proposal.others)}" if proposal.others else ""
        yield f"metric = {_quote(proposal.metric)}", f"{proposal.metric_reason}{others}"
        yield f"goal = {_quote(proposal.goal or 'maximize')}", "which way is better"
    yield from _list_ranges(proposal)
    yield from _list_rest(proposal)


def _list_ranges(proposal: Proposal) -> Iterator[tuple[str, str]]:
    yield f"params = {_quote(','.join(one.name for one in proposal.swept))}", "what is swept"
    for candidate in proposal.candidates:
        key = f"ranges.{_write_key(candidate.name)}"
        if candidate.swept:
            known = "a range that is known for it; " if candidate.is_known else ""
            yield f"{key} = {_quote(write_range(candidate.parameter))}", f"{known}usually {_write_usual(candidate)}"
        elif candidate.usual is not None:
            yield (
                f"# {key} = {_quote(write_range(candidate.parameter))}",
                f"left at {_write_value(candidate.usual)}: add it to params",
            )
    if proposal.baseline:
        yield f"baseline = {_write_table(proposal.baseline)}", "the usual values: trained first, for comparison"


def _list_rest(proposal: Proposal) -> Iterator[tuple[str, str]]:
    if proposal.fixed:
        yield f"train_arg = {_write_table(proposal.fixed)}", "the same in every run"
    if proposal.seed_param is not None:
        yield f"seed_param = {_quote(proposal.seed_param)}", "each run gets its own"
    if proposal.length is not None:
        yield f"# A run trains for {proposal.length.name} = {proposal.length.value:g}.", ""
    yield f"workers = {proposal.workers}", "trainings at once"
    if proposal.gpus_per_run is not None:
        yield f"gpus_per_run = {proposal.gpus_per_run:g}", "of one training"
    yield f"budget = {proposal.budget}", describe_night(proposal)


def describe_night(proposal: Proposal) -> str:
    """Say how long the sweep would take, in a clause."""
    if proposal.pace is None:
        return "runs; how long one takes is not known"
    about = "about " if proposal.pace.estimated else ""
    whole = proposal.pace.seconds * -(-proposal.budget // proposal.workers)
    return f"runs; one takes {about}{format_duration(proposal.pace.seconds)}, all {format_duration(whole)}"


def write_range(parameter: Parameter) -> str:
    """Write a range, as briefly as it is read the same by a sweep."""
    text = format_range(parameter)
    return next(f"{words}{text}" for words in _WORDS[parameter.kind] if _is_read(parameter, f"{words}{text}"))


def _is_read(parameter: Parameter, text: str) -> bool:
    try:
        return parse_params(f"{parameter.name}:{text}").parameters == (parameter,)
    except SpaceError:
        return False


def merge_section(text: str, proposal: Proposal) -> str:
    """Put a proposal's section into a settings file, in the place of the one that it had.

    Args:
        text: The file's, whose line ends the section gets; empty for a new one.
        proposal: What is written.

    Raises:
        UsageError: The file cannot be changed so that nothing else of it changes.
    """
    section = write_section(proposal)
    if not text.strip():
        return f"{HEADING}\n{section}"
    before = _read(text)
    kept, end = _cut_section(text, proposal.config_id).rstrip("\r\n"), "\r\n" if "\r\n" in text else "\n"
    merged = f"{kept}{end}{end}" if kept else f"{HEADING}\n".replace("\n", end)
    merged += section.replace("\n", end)
    wanted = before | {"configs": {**before.get("configs", {}), **_read(section)["configs"]}}
    try:
        is_safe = tomllib.loads(merged) == wanted
    except tomllib.TOMLDecodeError:
        is_safe = False
    if not is_safe:
        raise UsageError(
            f"The file's section of {proposal.config_id!r} is written in a way that cannot be replaced.",
            "Take it out of the file, or write to another with --settings FILE.",
        )
    return merged


def _cut_section(text: str, config_id: str) -> str:
    """Leave out the tables of a config id, with what stands in them."""
    bounds = [0, *(found.start() for found in _TABLE.finditer(text)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(bounds)]
    return "".join(piece for piece in pieces if not _is_of(piece, config_id))


def _is_of(piece: str, config_id: str) -> bool:
    """Return whether a piece of a file is a table of a config id alone."""
    try:
        found = _read(piece)
    except UsageError:
        return False
    return set(found) == {"configs"} and set(found["configs"]) == {config_id}


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"The settings file is not valid TOML: {error}.", "Fix it; https://toml.io shows how."
        ) from error


def _shorten(comment: str) -> str:
    """Leave out of a comment what TOML allows in none."""
    return "".join(letter if letter.isprintable() else "?" for letter in comment)


def _write_usual(one: Candidate) -> str:
    return "unknown" if one.usual is None else _write_value(one.usual)


def _write_table(values: Mapping[str, Value]) -> str:
    inner = ", ".join(f"{_write_key(name)} = {_write_value(value)}" for name, value in values.items())
    return f"{{ {inner} }}"


def _write_value(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _quote(value) if isinstance(value, str) else repr(value)


def _write_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _quote(name)


def _quote(text: str) -> str:
    """Write a text as a basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

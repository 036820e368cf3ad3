"""Why a program failed, by what it printed last: one line out of its output's end."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

WRAPPERS = (
    "ChildFailedError",
    "CalledProcessError",
    "ProcessRaisedException",
    "RemoteTraceback",
    "ProcessExitedException",
)
"""Exceptions of a process whose child has failed: the child's own tells more."""
NEAR = 12
"""Lines at the end in which a program that leaves without a traceback says why."""

_RANK = re.compile(r"\[(?:rank|default)?(\d+)\]:\s?")
_BOX = re.compile(r"^ +\| ?|^[\s│┃]*[│┃]\s?|[│┃]$|^[╭╰╔╚┌└├┏┗]?[─━═]+\s?|[─━═]*[╮╯╗╝┐┘┤┓┛]$")
_CLOSING = re.compile(r"(?:[A-Za-z_][\w<>]*\.)*(?P<name>[A-Z]\w*)(?:\(\w+\))?(?::|: .*)?")
_FRAME = re.compile(r'\s+File "')
_MARK = re.compile(
    r"(?:[\w./-]+(?: [\w-]+)*: |FATAL [\w ]*)?(?:error|ERROR|Error)(?::| parsing | merging )|Fatal Python error|"
    r"Unrecognized|Missing |Invalid |No such |Could not "
)
_HINT = re.compile(
    r"[\W_]*$|Set the environment variable HYDRA_FULL_ERROR|For (full helptext|further information)|See https?://|"
    r"Compile with `TORCH_USE_CUDA_DSA`|For simplicity, JAX|Try '.*' for help|Pass --help|Usage: |usage: |"
    r"warnings\.warn\(|.*Warning: resource_tracker:|During handling of the above|The above exception was"
)
_PYDANTIC_TYPE = re.compile(r" \[type=.*\]$")


class _Line(NamedTuple):
    text: str
    rank: str | None
    """Which of several processes of a training printed it; None where that is not told."""


class _Closing(NamedTuple):
    """A line that closes a traceback."""

    at: int
    rank: str | None
    weight: int
    """How much it tells: 0 of what was ignored, 1 of a child that has failed, 2 of the failure itself."""


def find_reason(output: Iterable[str]) -> str:
    """Find the one line that says why a program failed; empty where it printed nothing.

    That is the last one that closes a traceback. Of several ranks' it is the one that failed first, as others fail
    because of it. A message that goes on below is continued by its next line. Without a traceback it is the last line
    that begins as command lines' errors do, or else the last that is more than a frame or a hint.

    Args:
        output: The lines at the end of what it printed, without terminals' escapes.
    """
    lines = [_clean(line) for line in output if line.strip()]
    closings = [closing for at in range(len(lines)) if (closing := _read_closing(lines, at))]
    if closings:
        most = max(closing.weight for closing in closings)
        best = [closing for closing in closings if closing.weight == most]
        ranks = [closing.rank for closing in best if closing.rank is not None]
        chosen = [closing for closing in best if closing.rank == ranks[0]] if ranks else best
        closing = chosen[-1]
        return _continue([line.text for line in lines[closing.at :] if line.rank == closing.rank])
    telling = [line.text for line in lines if line.text and not _HINT.match(line.text.strip())]
    if not telling:
        return lines[-1].text.strip() if lines else ""
    near = range(max(0, len(telling) - NEAR), len(telling))
    marked = [at for at in near if _MARK.match(telling[at])]
    return _continue(telling[marked[-1] if marked else -1 :])


def _clean(line: str) -> _Line:
    """Take off what launchers and boxes put around a line."""
    found = _RANK.match(line)
    bare = _BOX.sub("", line[found.end() :] if found else line).rstrip()
    return _Line(bare, found[1] if found else None)


def _read_closing(lines: Sequence[_Line], at: int) -> _Closing | None:
    """Return what a line closes; None where it closes no traceback."""
    line = lines[at]
    found = _CLOSING.fullmatch(line.text)
    if found is None:
        return None
    start = at - 1
    while start >= 0 and lines[start].rank == line.rank and lines[start].text[:1].isspace():
        start -= 1
    closes = any(_FRAME.match(inner.text) for inner in lines[start + 1 : at])
    if not closes and not (found["name"].endswith(("Error", "Exception", "Interrupt")) and ": " in line.text):
        return None
    is_ignored = start > 0 and lines[start - 1].text.startswith("Exception ignored in")
    return _Closing(at, line.rank, 0 if is_ignored else 1 if found["name"] in WRAPPERS else 2)


def _continue(lines: Sequence[str]) -> str:
    """Return the first line, with what its message goes on with below."""
    first, below = lines[0].strip(), lines[1:]
    if "validation error" in first and len(below) > 1:
        return f"{first}: {below[0].strip()}: {_PYDANTIC_TYPE.sub('', below[1].strip())}"
    if not below or _HINT.match(below[0].strip()):
        return first
    if first.endswith(":"):
        return f"{first} {below[0].strip()}"
    return f"{first}; {below[0].strip()}" if below[0][:1].isspace() else first

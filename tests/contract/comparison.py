"""What the contract's tests found in two places, and the table of what differs."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

MOST = 200
"""Characters of a failure's first line."""


class Outcome(NamedTuple):
    """What became of a test: ``passed``, ``failed``, ``skipped``, or ``error`` beside the test itself."""

    verdict: str
    says: str = ""
    """The first line of the failure."""


MISSING = Outcome("not run")


def read_outcomes(report: Path) -> dict[str, Outcome]:
    """The outcomes of a JUnit report, by the test's module and name."""
    found: dict[str, Outcome] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it
        name = f"{case.attrib['classname'].rpartition('.')[2]}::{case.attrib['name']}"
        if name not in found or found[name].verdict == "passed":
            found[name] = _read_outcome(case)
    return found


def _read_outcome(case: ET.Element) -> Outcome:
    for tag, verdict in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        element = case.find(tag)
        if element is not None:
            lines = (element.get("message") or element.text or "").strip().splitlines()
            return Outcome(verdict, lines[0][:MOST] if lines else "")
    return Outcome("passed")


def find_differences(there: Mapping[str, Outcome], here: Mapping[str, Outcome]) -> dict[str, tuple[Outcome, Outcome]]:
    """The tests that did not end alike, with both outcomes."""
    names = list(dict.fromkeys((*there, *here)))
    pairs = {name: (there.get(name, MISSING), here.get(name, MISSING)) for name in names}
    return {name: (one, other) for name, (one, other) in pairs.items() if one.verdict != other.verdict}


def write_table(there: Mapping[str, Outcome], here: Mapping[str, Outcome]) -> str:
    """The table in Markdown: a row for each test that differs, then how many do not."""
    differences = find_differences(there, here)
    rows = [
        f"| {_escape(name)} | {one.verdict} | {other.verdict} | {_escape(one.says or other.says)} |"
        for name, (one, other) in differences.items()
    ]
    alike = len({*there, *here}) - len(differences)
    head = ["| test | there | here | first line of the failure |", "|---|---|---|---|"]
    return "\n".join([*(head + rows + [""] if rows else []), f"Alike: {alike}. Different: {len(rows)}."])


def _escape(text: str) -> str:
    return text.replace("|", "\\|")

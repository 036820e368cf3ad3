"""The table of clients in docs/wandb.md, made from what the tests of versions found.

    RECORD_CLIENTS=1 pytest tests/wandb_server/test_client_versions.py
    python -m tests.wandb_server.version_table

The first records what works with each release, which a run without the variable then compares; the second writes the
table from the record.
"""

import json
from pathlib import Path

RECORD = Path(__file__).with_name("client_versions.json")
"""What works with which client: what the tests of versions found."""
PAGE = Path(__file__).parents[2] / "docs" / "wandb.md"
BEGIN, END = "<!-- clients -->\n", "<!-- /clients -->\n"


RECORDING = "RECORD_CLIENTS"
"""The variable by which the tests record what they find."""


def read_record() -> dict[str, dict[str, bool]]:
    """What works, by version."""
    found: dict[str, dict[str, bool]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def write_record(version: str, works: dict[str, bool]) -> None:
    """Record what works with a version."""
    RECORD.write_text(json.dumps({**read_record(), version: works}, indent=2) + "\n", encoding="utf-8")


def write_table(page: str) -> str:
    """The page with its table as the record has it."""
    record = read_record()
    cells = {
        what: ["yes" if works[what] else "no" for works in record.values()] for what in next(iter(record.values()))
    }
    rows = [f"| wandb | {' | '.join(record)} |", f"|---|{'---|' * len(record)}"]
    rows += [f"| {what} | {' | '.join(row)} |" for what, row in cells.items()]
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "".join(f"{row}\n" for row in rows) + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(write_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

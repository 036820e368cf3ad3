"""The commands that the README and the docs show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PROGRAM = "multistage-sweep"


def list_blocks(page: str) -> list[str]:
    """Return the fenced blocks of commands of a page in docs/, their continued lines joined."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block.replace("\\\n", " ") for block in found]


def list_commands(program: str = PROGRAM) -> Iterator[tuple[str, list[str]]]:
    """Return each command of a fenced block: where it stands, and its words after the program."""
    for page in PAGES:
        for block in re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith(f"{program} "):
                    words = shlex.split(line, comments=True)[1:]
                    yield page.name, words[: words.index("<")] if "<" in words else words

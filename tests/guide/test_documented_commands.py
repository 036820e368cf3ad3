"""No page shows a command that the command line would not understand."""

import pytest

from multistage.cli import app
from tests.guide.documented import list_commands

COMMANDS = list(list_commands())


def test_the_pages_show_commands() -> None:
    assert len(COMMANDS) > 4
    assert {page for page, _ in COMMANDS} > {"README.md"}


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[" ".join(words) for _, words in COMMANDS])
def test_a_documented_command_is_understood(page: str, words: list[str]) -> None:
    app.parse_args(words, exit_on_error=False, print_error=False)

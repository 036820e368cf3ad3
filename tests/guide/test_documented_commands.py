"""No page shows a command that the command line would not understand."""

import re

import pytest

from multistage.cli import app
from multistage.options.catalogue import list_all
from tests.guide.documented import PAGES, ROOT, list_commands

COMMANDS = list(list_commands())


def test_the_pages_show_commands() -> None:
    assert len(COMMANDS) > 4
    assert {page for page, _ in COMMANDS} > {"README.md"}


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[" ".join(words) for _, words in COMMANDS])
def test_a_documented_command_is_understood(page: str, words: list[str]) -> None:
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[" ".join(words) for _, words in COMMANDS])
def test_a_documented_script_has_its_metric(page: str, words: list[str]) -> None:
    if {"--program", "--command"} & set(words) and "..." not in words:
        assert "--metric" in words


def test_the_page_of_options_names_every_flag() -> None:
    page = (ROOT / "docs" / "options.md").read_text()
    flags = {option.flag for option in list_all() if option.option.flag} | {"--resume", "--json"}
    assert {flag for flag in flags if f"`{flag}" not in page} == set()


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).is_file(), f"{page.name} links to {target}"

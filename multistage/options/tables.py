"""The tables of the documentation's page of options, written from the declarations."""

from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from multistage.options.catalogue import GROUPS, Groups, list_all
from multistage.options.option import Declared

BEGIN, END = "<!-- options: {title} -->", "<!-- end of options -->"
"""Around each table: what stands between is written anew."""


def write_tables(page: str, groups: Groups = GROUPS) -> str:
    """Write a page's tables anew.

    Args:
        page: Its text, with the marks of the groups whose tables it has.
        groups: The options.

    Raises:
        ValueError: It has no place for a group that has flags.
    """
    flags = [one for one in list_all(groups) if one.option.flag]
    for title in dict.fromkeys(flag.group.title for flag in flags):
        begin = BEGIN.format(title=title)
        before, found, after = page.partition(f"{begin}\n")
        _, closed, rest = after.partition(END)
        if not (found and closed):
            raise ValueError(f"The page has no place for {title!r}: write {begin} and {END} into it.")
        rows = "\n".join(_write_row(flag) for flag in flags if flag.group.title == title)
        page = f"{before}{begin}\n| option | meaning | default |\n|---|---|---|\n{rows}\n{END}{rest}"
    return page


def _write_row(option: Declared) -> str:
    words = " ".join((option.flag, *_write_sign(option)))
    return f"| `{_escape(words)}` | {_escape(option.help)} | {_escape(option.usually)} |"


def _write_sign(option: Declared) -> Iterator[str]:
    if get_origin(option.kind) is Literal:
        yield "|".join(map(str, get_args(option.kind)))
    elif option.kind is not bool:
        yield option.option.sign or "VALUE"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")

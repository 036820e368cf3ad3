"""Flags as a command takes them."""

from collections.abc import Mapping
from typing import Any

from cyclopts import App

from multistage.cli.flags import Flags, build_flags
from multistage.options.catalogue import Groups


def read_flags(groups: Groups, *words: str) -> Mapping[str, Any]:
    """Read the flags of some options off a command line."""
    flags_type = build_flags("SomeFlags", "Some.", groups)
    taken: list[Flags] = []

    def command(*, flags: Flags = flags_type()) -> None:  # noqa: B008
        taken.append(flags)

    command.__annotations__["flags"] = flags_type
    app = App()
    app.default(command)
    app(words, exit_on_error=False, print_error=False, result_action="return_value")
    return taken[0].list_given()

"""One user, with one pair of services, for all sweeps of this room."""

from collections.abc import Iterator

import pytest

from tests.flows.command_line import CommandLine


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line of a user of the session's own; services end with the session, and nothing is left."""
    user = CommandLine(tmp_path_factory.mktemp("user"))
    try:
        yield user
    finally:
        left = user.end()
    assert not left, left

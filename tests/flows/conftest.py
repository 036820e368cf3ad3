"""One user, with one pair of services, for all sweeps of this room."""

from collections.abc import Iterator

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import PLANTED, SWEEP, CommandLine, FinishedSweep


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line of a user of the session's own; services end with the session, and nothing is left."""
    user = CommandLine(tmp_path_factory.mktemp("user"))
    try:
        yield user
    finally:
        left = user.end()
    assert not left, left


@pytest.fixture(scope="session")
def undisturbed(commands: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> FinishedSweep:
    """A whole sweep that nothing disturbed, of a user whose environment holds secrets."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        done = commands.run(*SWEEP, "--tracker", "embedded", "--json", timeout=280, variables=PLANTED)
    folder = SweepFolder(place / "runs" / "multistage_sweep_digits_mlp")
    return FinishedSweep(place, folder, folder.load_state(), done.stdout, done.stderr)


@pytest.fixture(scope="module")
def finished(commands: CommandLine, undisturbed: FinishedSweep) -> FinishedSweep:
    """The undisturbed sweep, with the services running that hold it: tests of other modules may have ended them."""
    commands.run("up")
    return undisturbed

"""Earlier sweeps as a prior: what their runs have taught, whatever environment, ranges and budget they had."""

from collections.abc import Sequence
from pathlib import Path

from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.sweep.state import State
from multistage.errors import UsageError
from multistage.request.priors.field import recognize
from multistage.request.subject.sweep_subject import Subject
from multistage.search.lessons import FEWEST, PriorSource, make_source
from multistage.store.sweep_folder import SweepFolder, find_folder, survey_sweeps
from multistage.training.catalogue import find_bundled
from multistage.wandb_client.run_archive import read_finished

MOST = 5
"""Sweeps that are taken where none are named: the latest."""


def load_earlier(name: str, space: SearchSpace, runs_dir: Path) -> PriorSource:
    """Load a sweep that was named.

    Args:
        name: Its name, its folder or its ``state.json``.
        space: What is swept now.
        runs_dir: Where sweeps lie.

    Raises:
        FolderError: There is no such sweep, or it is damaged.
        UsageError: It teaches nothing of what is swept now.
    """
    folder = find_folder(name, runs_dir)
    state = folder.load_state()
    if not list_shared(space, state):
        raise UsageError(
            f"--prior names {folder.name}, which swept {', '.join(state.settings.space.names)}: none of what is swept "
            "now.",
            "Leave it out, or name a sweep that shares a hyperparameter.",
        )
    source = read_source(folder, state, space)
    if len(source.lessons) < FEWEST:
        raise UsageError(
            f"--prior names {folder.name}, which has {len(source.lessons)} runs with a value, and {FEWEST} tell the "
            "first thing.",
            "Leave it out.",
        )
    return source


def find_earlier(subject: Subject, config_id: str, runs_dir: Path) -> list[PriorSource]:
    """Find the latest sweeps of the same program or the same trainer's algorithm that teach anything.

    Args:
        subject: What is trained and searched now.
        config_id: What is trained now.
        runs_dir: Where sweeps lie.
    """
    known = [(folder, state) for folder, state in survey_sweeps(runs_dir) if isinstance(state, State)]
    alike = [(folder, state) for folder, state in known if _trains_alike(subject, config_id, state.settings)]
    found: list[PriorSource] = []
    for folder, state in sorted(alike, key=lambda one: one[1].updated_at, reverse=True):
        if len(found) < MOST and list_shared(subject.space, state):
            source = read_source(folder, state, subject.space)
            found += [source] if len(source.lessons) >= FEWEST else []
    return found


def list_shared(space: SearchSpace, state: State) -> Sequence[str]:
    """List the hyperparameters that a sweep has searched and that are swept now."""
    return [name for name in space.names if name in state.settings.space]


def read_source(folder: SweepFolder, state: State, space: SearchSpace) -> PriorSource:
    """Read what a sweep's runs have taught."""
    names = list_shared(space, state)
    runs = [run for path in folder.list_archives() for run in read_finished(path)]
    told = [run for run in runs if run.value is not None and all(name in run.config for name in names)]
    sign = 1 if state.goal == "maximize" else -1
    values = [sign * run.value for run in told if run.value is not None]
    return make_source(folder.name, names, [run.config for run in told], values)


def _trains_alike(subject: Subject, config_id: str, other: SweepSettings) -> bool:
    if other.definition is not None:
        return False
    if subject.trainer is None:
        return subject.program == other.program and (subject.program is not None or subject.command == other.command)
    if find_bundled(other) is None:
        return False
    ids = config_id.rpartition(":")[2], other.config_id.rpartition(":")[2]
    return ids[0] == ids[1] or None is not recognize((), [ids[0]]) == recognize((), [ids[1]])

"""A sweep's folder: its state and report, ``results/``, ``slots/``, ``archive/``, ``logs/``, and its driver's lock.

Where a command takes NAME, it takes a sweep's name, its folder or its ``state.json``: `find_folder`.
"""

import contextlib
import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from multistage.atomic_files import replace_file
from multistage.domain.sweep.state import State, format_state, parse_state
from multistage.errors import FolderError
from multistage.file_locks import GLANCE, explain_failure, is_held, try_lock
from multistage.machines import describe_machine, is_here, name_host
from multistage.paths import expand_home
from multistage.pids import find_living
from multistage.process_starts import read_start

STATE_FILE = "state.json"


def name_sweep(config_id: str) -> str:
    """Return the guide's name of a sweep's folder, such as ``multistage_sweep_CartPole-v1_ppo``."""
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in config_id)
    return f"multistage_sweep_{safe}"


def find_folder(name: str, *runs_dirs: Path) -> "SweepFolder":
    """Find a sweep by its name, its folder or its ``state.json``.

    Args:
        name: As it was given.
        runs_dirs: Where it may lie; the first place that has it counts.

    Raises:
        FolderError: If there is no such sweep; the hint lists those that there are.
    """
    given = expand_home(Path(name))
    for candidate in (given.parent if given.name == STATE_FILE else given, *(place / name for place in runs_dirs)):
        if os.path.isfile(candidate / STATE_FILE):  # noqa: PTH113 - Path.is_file raises where a folder is closed
            return SweepFolder(candidate)
    there = [folder.name for folder in list_folders(*runs_dirs)]
    places = join_places(runs_dirs)
    hint = f"Sweeps in {places}: {', '.join(there)}." if there else f"There is no sweep in {places} yet."
    raise FolderError(f"No sweep is called {name!r}, and no state.json lies there.", hint)


def list_folders(*runs_dirs: Path) -> list["SweepFolder"]:
    """List the sweeps in some folders, each folder's by name."""
    return [SweepFolder(path.parent) for place in runs_dirs for path in sorted(place.glob(f"*/{STATE_FILE}"))]


def join_places(runs_dirs: Sequence[Path]) -> str:
    """Name the folders in which sweeps lie, for a sentence."""
    return " or ".join(map(str, runs_dirs))


def survey_sweeps(*runs_dirs: Path) -> list[tuple["SweepFolder", State | FolderError]]:
    """Read the states of all sweeps in some folders, or why one cannot be read."""
    found: list[tuple[SweepFolder, State | FolderError]] = []
    for folder in list_folders(*runs_dirs):
        try:
            found.append((folder, folder.load_state()))
        except FolderError as error:
            found.append((folder, error))
    return found


def read_states(runs_dir: Path) -> list[State]:
    """Read the states of all sweeps in a folder; a damaged one is left out."""
    return [state for _, state in survey_sweeps(runs_dir) if isinstance(state, State)]


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter; one that exists keeps its mode."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file of a sweep's; its folder is made where it is missing.

    Raises:
        FolderError: If the folder cannot be written or the disk is full; the old file stays.
    """
    try:
        make_private(path.parent)
        replace_file(path, text)
    except OSError as error:
        raise _refuse_write(path, error) from error


class _Holder(NamedTuple):
    """Who wrote itself into a folder's lock."""

    pid: int
    started_at: float
    machine: str = ""
    """As `describe_machine` told it; empty where an earlier release wrote it."""


class SweepFolder:
    """The folder of one sweep.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.path.name

    @property
    def resume_command(self) -> str:
        """The command that resumes the sweep, from whatever folder it is typed."""
        return f"multistage-sweep --resume {shlex.quote(str(self.state_file))}"

    @property
    def shell_path(self) -> str:
        """The sweep as a command takes it, from whatever folder that is typed."""
        return shlex.quote(str(self.path))

    def write_name(self, runs_dirs: Sequence[Path]) -> str:
        """Write the sweep as a command takes it in the current folder: by name where that finds this very sweep.

        Args:
            runs_dirs: Where commands look for a sweep by its name; none where that is not known.
        """
        try:
            found = find_folder(self.name, *runs_dirs).path if runs_dirs else None
        except FolderError:
            return self.shell_path
        is_this = found is not None and not self.name.startswith("-") and found.resolve() == self.path.resolve()
        return shlex.quote(self.name) if is_this else self.shell_path

    def write_resume(self, runs_dirs: Sequence[Path]) -> str:
        """Write the command that resumes the sweep from the current folder, as `write_name` names it."""
        called = self.write_name(runs_dirs)
        return self.resume_command if called == self.shell_path else f"multistage-sweep resume {called}"

    @property
    def state_file(self) -> Path:
        """The mirrored state."""
        return self.path / STATE_FILE

    @property
    def results(self) -> Path:
        """Prefect's persisted results."""
        return self.path / "results"

    @property
    def logs(self) -> Path:
        """Logs of workers and runs."""
        return self.path / "logs"

    @property
    def checkpoints(self) -> Path:
        """What trainings leave for another attempt at their slot, where the sweep is resumable."""
        return self.path / "checkpoints"

    def locate_archive(self, sweep_id: str) -> Path:
        """Where the finished runs of one of its W&B sweeps are kept, so that a resume need not read them again."""
        return self.path / "archive" / f"{sweep_id}.jsonl"

    def list_archives(self) -> list[Path]:
        """List the files of that kind."""
        return sorted(self.path.glob("archive/*.jsonl"))

    def forget_values(self) -> None:
        """Forget what finished runs have reached, so that they are read anew, under another metric.

        Raises:
            FolderError: If the folder cannot be written.
        """
        for path in self.list_archives():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _refuse_write(path, error) from error

    def locate_ledger(self, sweep_id: str) -> Path:
        """Where it is written down which run of one of its W&B sweeps is which slot's."""
        return self.path / "slots" / f"{sweep_id}.jsonl"

    def read_state(self) -> State | None:
        """Read ``state.json``; None where there is none.

        Raises:
            FolderError: If the file is damaged, of another schema, or cannot be read. It is never rewritten then.
        """
        try:
            text = self.state_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise FolderError(f"{self.state_file} cannot be read: {error}.", "The file is left as it is.") from error
        return parse_state(text, str(self.state_file))

    def load_state(self) -> State:
        """Read ``state.json`` of a sweep that exists.

        Raises:
            FolderError: If there is none, or as `read_state`.
        """
        state = self.read_state()
        if state is None:
            raise FolderError(f"{self.state_file} does not exist.", "Start the sweep without --resume.")
        return state

    def write_state(self, state: State) -> None:
        """Replace ``state.json`` atomically, synced to the disk.

        Raises:
            FolderError: If it cannot be written; the old file stays.
        """
        write_atomically(self.state_file, format_state(state))

    def check_writable(self) -> None:
        """Check that the folder can be made and written, and leave no trace of that.

        Raises:
            FolderError: It cannot.
        """
        try:
            place = next(place for place in (self.path, *self.path.parents) if place.exists())
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise _refuse_write(self.path, error) from error

    @property
    def _lock_file(self) -> Path:
        return self.path / ".lock"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second driver out for as long as the context lasts; the kernel lets go when this process dies.

        Raises:
            FolderError: If another process drives this sweep, which the message names, the folder cannot be written, or
                its disk has no file locks.
        """
        try:
            make_private(self.path)
            self.path.chmod(0o700)
            make_private(self.results)  # Prefect makes the files in it as readable as this user's others
            self._lock_file.touch(0o600)
            # Without a buffer: what a full disk does not take would be written once more when the file is closed.
            file = self._lock_file.open("ab", buffering=0)
        except OSError as error:
            raise _refuse_write(self._lock_file, error) from error
        with file:
            try:
                taken = try_lock(file, GLANCE)
            except OSError as error:
                hint = "Choose a folder on another disk with --runs-dir."
                raise FolderError(explain_failure(self._lock_file, error), hint) from error
            if not taken:
                raise self.refuse_driver()
            try:
                file.truncate(0)
                file.write(f"{os.getpid()} {read_start(os.getpid())} {describe_machine()}".encode())
                os.fsync(file.fileno())  # for those on other machines
            except OSError as error:
                raise _refuse_write(self._lock_file, error) from error
            try:
                yield
            finally:
                file.truncate(0)

    def find_driver(self) -> int | None:
        """Find the process that holds the lock, on whichever machine; None where nobody does.

        The lock itself is not touched where the process would be on this machine: a look at it would keep a driver out
        that starts in the same instant.
        """
        holder = self._read_holder()
        if holder is None:
            return None
        if is_here(holder.machine):
            return holder.pid if find_living(holder.pid, holder.started_at) else None
        try:
            return holder.pid if is_held(self._lock_file) else None
        except OSError:
            return None

    def find_driver_host(self) -> str:
        """Name the host of what `find_driver` finds where that is another machine; else nothing."""
        holder = self._read_holder()
        return name_host(holder.machine) if holder is not None and not is_here(holder.machine) else ""

    def _read_holder(self) -> _Holder | None:
        try:
            pid, started_at, *machine = self._lock_file.read_text(encoding="utf-8").split(" ", 2)
            return _Holder(int(pid), float(started_at), *machine)
        except (OSError, ValueError):
            return None

    def refuse_driver(self) -> FolderError:
        """Build the error for a second driver."""
        pid, host = self.find_driver() or "unknown", self.find_driver_host()
        end = f"there. Where {host} is gone for good, delete {self._lock_file}." if host else "first."
        return FolderError(
            f"Process {pid} {f'on {host} ' if host else ''}is already driving the sweep in {self.path}.",
            f"Watch it with `multistage-sweep status {self.shell_path}`, or end it {end}",
        )


def _refuse_write(path: Path, error: OSError) -> FolderError:
    return FolderError(
        f"{path} cannot be written: {error.strerror or error}.",
        "Free some space or make the folder writable, or choose another with --runs-dir.",
    )

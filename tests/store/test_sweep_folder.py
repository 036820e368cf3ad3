"""A sweep's folder: atomic writes, honest errors, and a lock that names its holder."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage import machines
from multistage.domain.sweep.state import State, parse_state
from multistage.errors import FolderError
from multistage.process_starts import read_start
from multistage.store.sweep_folder import (
    SweepFolder,
    find_folder,
    list_folders,
    name_sweep,
    read_states,
    survey_sweeps,
    write_atomically,
)
from tests.states import make_state

HOLDER = """
import sys
from pathlib import Path
from multistage.store.sweep_folder import SweepFolder
with SweepFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path / "runs" / "mine")


@pytest.fixture
def holder(folder: SweepFolder) -> Iterator["subprocess.Popen[str]"]:
    """Another process that drives the sweep."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()


def test_names_are_the_guides_and_safe_as_folders() -> None:
    assert name_sweep("CartPole-v1:ppo") == "multistage_sweep_CartPole-v1_ppo"
    assert name_sweep("../a b/c$") == "multistage_sweep_.._a_b_c_"


def test_a_reader_sees_whole_states_only(folder: SweepFolder) -> None:
    """While one thread writes ever-changing states, another reads; every read parses and none is missing."""
    folder.write_state(make_state())
    ended = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not ended.is_set():
            text = folder.state_file.read_text(encoding="utf-8")
            seen.append(parse_state(text, "state.json").budget_used)

    reader = threading.Thread(target=read)
    reader.start()
    for used in range(200):
        folder.write_state(make_state(used % 4, budget_used=used))
    ended.set()
    reader.join()
    assert len(seen) > 20
    assert seen == sorted(seen)
    assert [path.name for path in folder.path.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    ("function", "number"), [("fsync", errno.ENOSPC), ("fsync", errno.EIO), ("replace", errno.EROFS)]
)
def test_a_write_that_fails_leaves_the_old_file_and_no_rest(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, function: str, number: int
) -> None:
    folder.write_state(make_state())
    before = folder.state_file.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    owner = os if function == "fsync" else Path
    monkeypatch.setattr(owner, function, fail)
    with pytest.raises(FolderError, match=os.strerror(number)) as caught:
        folder.write_state(make_state(3))
    assert str(folder.state_file) in caught.value.message
    assert "--runs-dir" in caught.value.hint
    monkeypatch.undo()
    assert folder.state_file.read_bytes() == before
    assert [path.name for path in folder.path.iterdir()] == ["state.json"]


def test_a_folder_that_cannot_be_made_is_an_error_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, no folder")
    with pytest.raises(FolderError, match="cannot be written"):
        SweepFolder(tmp_path / "runs" / "x").write_state(make_state())
    with pytest.raises(FolderError, match="cannot be written"), SweepFolder(tmp_path / "runs" / "x").lock():
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_file_locks_is_told_with_the_remedy(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(FolderError, match=r"\.lock cannot be locked: this disk has no file locks") as caught,
        folder.lock(),
    ):
        pass
    assert os.strerror(number) in caught.value.message
    assert caught.value.hint == "Choose a folder on another disk with --runs-dir."


FULL = """
import resource, sys
from pathlib import Path
from multistage.errors import FolderError
from multistage.store.sweep_folder import SweepFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    with SweepFolder(Path(sys.argv[1])).lock():
        pass
except FolderError as error:
    print(error)
"""


def test_a_full_disk_is_told_where_the_driver_is_noted(folder: SweepFolder) -> None:
    told = subprocess.run([sys.executable, "-c", FULL, str(folder.path)], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in told.stderr
    assert f"{folder.path}/.lock cannot be written: File too large. Free some space" in told.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_an_error_of_the_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(FolderError, match="Permission denied"):
            write_atomically(tmp_path / "state.json", "{}")
    finally:
        tmp_path.chmod(0o755)


def test_a_sweep_is_its_owners_alone_and_its_place_keeps_its_mode(tmp_path: Path) -> None:
    place = tmp_path / "runs"
    place.mkdir(mode=0o755)
    old, new = place / "old", place / "new"
    old.mkdir(mode=0o755)
    for path in (old, new):
        with SweepFolder(path).lock():
            SweepFolder(path).write_state(make_state())
        assert path.stat().st_mode & 0o777 == 0o700
        assert SweepFolder(path).state_file.stat().st_mode & 0o777 == 0o600
    assert place.stat().st_mode & 0o777 == 0o755


def test_the_lock_keeps_another_process_out_and_names_it(folder: SweepFolder, holder: "subprocess.Popen[str]") -> None:
    assert folder.find_driver() == holder.pid
    with pytest.raises(FolderError, match=f"Process {holder.pid} is already driving"), folder.lock():
        pytest.fail("two drivers")


def test_the_kernel_lets_go_when_the_holder_is_killed(folder: SweepFolder, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    assert folder.find_driver() is None
    with folder.lock():
        assert folder.find_driver() == os.getpid()
    assert folder.find_driver() is None


def test_looking_for_the_driver_never_keeps_one_out(folder: SweepFolder) -> None:
    """A look takes the lock for an instant; a driver that starts in this instant must not be refused."""
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            folder.find_driver()

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(100):
            with folder.lock():
                pass
    finally:
        ended.set()
        for looker in lookers:
            looker.join()


def test_a_driver_on_another_machine_is_known_by_the_lock_it_holds(
    folder: SweepFolder, holder: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.find_driver_host() == ""
    monkeypatch.setattr(machines, "read_host", lambda: "login2")
    monkeypatch.setattr(machines, "read_mark", lambda: "boot-b")
    assert (folder.find_driver(), folder.find_driver_host()) == (holder.pid, socket.gethostname())
    told = f"Process {holder.pid} on {socket.gethostname()} is already driving"
    with pytest.raises(FolderError, match=told) as caught, folder.lock():
        pass
    assert caught.value.hint.endswith(f"delete {folder.path}/.lock.")
    holder.kill()
    holder.wait()
    assert folder.find_driver() is None, "its pid is not asked for, which another process may have here"
    with folder.lock():
        assert (folder.find_driver(), folder.find_driver_host()) == (os.getpid(), "")


def test_the_lock_of_an_earlier_release_names_its_driver(folder: SweepFolder) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / ".lock").write_text(f"{os.getpid()} {read_start(os.getpid())}")
    assert (folder.find_driver(), folder.find_driver_host()) == (os.getpid(), "")


def test_a_folder_that_was_never_driven_has_no_driver(folder: SweepFolder) -> None:
    assert folder.find_driver() is None
    assert not folder.path.exists()


def test_a_sweep_is_found_by_name_folder_and_state_file(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_state(make_state())
    runs_dir = folder.path.parent
    for name in ("mine", str(folder.path), str(folder.state_file), f"{folder.path}/"):
        assert find_folder(name, runs_dir).path == folder.path
    monkeypatch.chdir(folder.path)
    for name in (".", "state.json", "./state.json"):
        found = find_folder(name, runs_dir)
        assert (found.path, found.name) == (folder.path, "mine")


def test_the_resume_command_is_short_where_the_name_finds_this_very_sweep(
    folder: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_state(make_state(1))
    monkeypatch.chdir(tmp_path)
    assert folder.write_resume([folder.path.parent]) == f"multistage-sweep resume {folder.name}"
    assert folder.write_name([folder.path.parent]) == folder.name
    assert folder.write_name([]) == folder.write_name([tmp_path / "elsewhere"]) == folder.shell_path
    assert folder.write_resume([tmp_path / "elsewhere"]) == folder.resume_command
    other = SweepFolder(tmp_path / "first" / folder.name)
    other.write_state(make_state(1))
    assert folder.write_resume([other.path.parent, folder.path.parent]) == folder.resume_command, "that finds another"
    monkeypatch.chdir(other.path.parent)
    assert folder.write_resume([folder.path.parent]) == folder.resume_command, "so does the current folder"


def test_a_sweep_is_quoted_as_a_shell_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = SweepFolder(tmp_path / "sp ace" / "my sweep")
    folder.write_state(make_state(1))
    assert folder.write_name([folder.path.parent]) == "'my sweep'"
    assert folder.write_name([]) == f"'{folder.path}'"
    assert f"'{folder.path}'" in folder.refuse_driver().hint


def test_a_sweep_that_is_not_there_lists_those_that_are(folder: SweepFolder, tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="'other'") as caught:
        find_folder("other", folder.path.parent)
    assert "no sweep in" in caught.value.hint
    folder.write_state(make_state())
    with pytest.raises(FolderError) as caught:
        find_folder("other", folder.path.parent)
    assert "mine" in caught.value.hint
    assert [one.name for one in list_folders(folder.path.parent)] == ["mine"]
    assert list_folders(tmp_path / "nowhere") == []


def test_sweeps_of_several_places_are_found_and_listed(folder: SweepFolder, tmp_path: Path) -> None:
    folder.write_state(make_state())
    elsewhere = SweepFolder(tmp_path / "elsewhere" / "other")
    elsewhere.path.mkdir(parents=True)
    elsewhere.state_file.write_text("{")
    places = (folder.path.parent, tmp_path / "elsewhere")
    assert find_folder("other", *places).path == elsewhere.path
    (mine, state), (other, damage) = survey_sweeps(*places)
    assert (mine.name, other.name) == ("mine", "other")
    assert isinstance(state, State)
    assert isinstance(damage, FolderError)
    assert read_states(tmp_path / "elsewhere") == []
    with pytest.raises(FolderError) as caught:
        find_folder("third", *places)
    assert f"{places[0]} or {places[1]}: mine, other" in caught.value.hint


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'{"schema_version": 1}', b""])
def test_a_damaged_state_is_named_and_kept(folder: SweepFolder, content: bytes) -> None:
    folder.path.mkdir(parents=True)
    folder.state_file.write_bytes(content)
    with pytest.raises(FolderError) as caught:
        folder.read_state()
    assert str(folder.state_file) in caught.value.message
    assert folder.state_file.read_bytes() == content


def test_a_state_that_is_a_folder_cannot_be_read(folder: SweepFolder) -> None:
    folder.state_file.mkdir(parents=True)
    with pytest.raises(FolderError, match="cannot be read"):
        folder.read_state()


def test_no_state_is_none_and_to_load_it_an_error(folder: SweepFolder) -> None:
    assert folder.read_state() is None
    with pytest.raises(FolderError, match="does not exist"):
        folder.load_state()


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob(".state.json.*"))
    write_atomically(tmp_path / "state.json", "{}")
    assert set(Path(tempfile.gettempdir()).glob(".state.json.*")) == before

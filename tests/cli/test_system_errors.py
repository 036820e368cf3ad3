"""What the system refuses is told in a sentence, and a reader that has left hears nothing."""

import errno
import io
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from multistage.cli import main
from multistage.cli.system_errors import REMEDIES, explain_system_error
from multistage.errors import MultistageError, UsageError
from multistage.report.export import write_rows

COMMANDS = (("settings", "--schema"), ("plan", "digits:mlp", "--params", "alpha", "--tracker", "embedded"))
"""One prints by itself, one through Rich."""


@pytest.fixture(autouse=True)
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "services"))
    monkeypatch.setenv("HOME", str(workplace))
    return workplace


def spell(*arguments: str, buffered: bool = True) -> list[str]:
    return [sys.executable, *(() if buffered else ("-u",)), "-m", "multistage", *arguments]


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_reader_that_has_left_ends_a_command_without_a_word(arguments: tuple[str, ...], buffered: bool) -> None:
    with subprocess.Popen(
        spell(*arguments, buffered=buffered), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_an_output_on_a_full_disk_is_one_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(spell(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "multistage-sweep: The output cannot be written: No space left on device. Send it somewhere else.\n"
    )


@pytest.mark.parametrize("arguments", [("status",), COMMANDS[1], ("doctor",), ("settings",)], ids=" ".join)
def test_a_folder_that_was_deleted_is_named(
    arguments: tuple[str, ...], place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = place / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "multistage-sweep: The current folder no longer exists. Change to one that does: `cd ~`.\n"
    )


def test_a_command_tells_the_file_that_it_could_not_use(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(place / "closed"))

    monkeypatch.setattr("multistage.request.sources.precedence.find_settings_file", refuse)
    with pytest.raises(SystemExit) as ended:
        main(("settings",))
    assert ended.value.code == 1
    said = f"multistage-sweep: {place}/closed cannot be used: Permission denied. Check its path and its permissions.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("number", REMEDIES)
def test_what_a_machine_is_short_of_comes_with_its_remedy(number: int) -> None:
    explained = explain_system_error(OSError(number, "Too many"))
    assert isinstance(explained, MultistageError)
    assert not isinstance(explained, UsageError)
    assert str(explained) == f"The system refuses: Too many. {REMEDIES[number]}"


@pytest.mark.parametrize("error", [ConnectionResetError(errno.ECONNRESET, "reset"), OSError("odd"), BrokenPipeError()])
def test_a_fault_keeps_its_traceback(error: OSError) -> None:
    with pytest.raises(type(error)) as raised:
        explain_system_error(error)
    assert raised.value is error


def test_an_export_names_the_file_that_cannot_be_written_and_no_other(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"^.*/nowhere/runs\.csv cannot be written: No such file or directory\."):
        write_rows([], "csv", place / "nowhere" / "runs.csv", Console())
    full = OSError(errno.ENOSPC, "No space left on device")

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise full

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OSError, match="No space left") as raised:
        write_rows([], "json", None, Console())
    assert raised.value is full

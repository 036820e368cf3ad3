"""What a training's output says of its end."""

from pathlib import Path

from multistage.worker.outputs import read_last_lines, read_reason


def test_the_error_is_found_among_what_wandb_and_its_core_say(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(
        b"\xff\xfe\x00 no text\nTraceback (most recent call last):\nValueError: two is too many\n\n"
        b"\x1b[1;34mwandb\x1b[0m: Find logs at: x\n"
        b"2026/11/28 23:23:03 INFO connection: closing id=1(@)\n"
        b"2026/11/28 23:23:03 INFO server: all connections closed\n"
    )
    assert read_reason(log) == "ValueError: two is too many"
    assert read_last_lines(log, 1) == ["ValueError: two is too many"]
    assert read_last_lines(log)[1:] == ["Traceback (most recent call last):", "ValueError: two is too many"]


def test_no_output_is_none(tmp_path: Path) -> None:
    assert read_last_lines(None) == read_last_lines(tmp_path / "nothing.log") == []
    assert read_reason(None) == read_reason(tmp_path / "nothing.log") == ""

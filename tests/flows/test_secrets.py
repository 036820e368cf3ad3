"""A user's secrets are found nowhere: not in what a sweep writes, not in a database, not in what is printed."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

from tests.flows.command_line import BUDGET, PLANTED, CommandLine, FinishedSweep


def list_files(*places: Path) -> Iterator[Path]:
    """Every file below some folders."""
    for place in places:
        yield from (path for path in place.rglob("*") if path.is_file() and not path.is_symlink())


def test_no_secret_is_written_or_printed(commands: CommandLine, finished: FinishedSweep) -> None:
    """Not the planted ones, and the two servers' own keys only in the files that hold them."""
    key_files = [commands.settings.wandb_server_folder / "key", commands.settings.prefect_key]
    assert all(path.stat().st_mode & 0o077 == 0 for path in key_files)
    secrets = [value.encode() for value in (*PLANTED.values(), *(path.read_text().strip() for path in key_files))]
    secrets.append(b64encode(b"multistage:" + secrets[-1]))  # as a client sends it
    written = list(list_files(finished.place, Path(commands.environment["HOME"])))
    names = {path.name for path in written}
    assert names >= {"state.json", "report.html", "prefect.db", "wandb.sqlite", "server.log", "key"}
    assert len(list(list_files(finished.folder.logs))) > BUDGET
    assert len(list(list_files(finished.folder.results))) > 3
    found = [path for path in written if path not in key_files and any(key in path.read_bytes() for key in secrets)]
    assert found == []
    printed = (finished.output + finished.messages).encode()
    assert not any(key in printed for key in secrets)


def test_no_error_tells_a_secret(commands: CommandLine, workplace: Path) -> None:
    """Of a W&B server that cannot be reached, and of a Modal account that knows nobody."""
    away = {**PLANTED, "WANDB_BASE_URL": "http://127.0.0.1:9", "MODAL_SERVER_URL": "http://127.0.0.1:9"}
    for options in (("--tracker", "wandb"), ("--tracker", "embedded", "--launcher", "modal")):
        done = commands.run("digits:mlp", "--params", "alpha", *options, code=None, variables=away)
        assert done.returncode in (1, 2)
        assert not any(value in done.stdout + done.stderr for value in PLANTED.values())

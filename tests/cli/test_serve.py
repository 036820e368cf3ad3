"""``multistage-sweep serve``: the embedded server in the foreground."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.wandb_server.wandb_clients import run_script

COMMAND = str(Path(sys.executable).parent / "multistage-sweep")
LOGS = (
    "import json, wandb\nrun = wandb.init(project='served')\nrun.log({'x': 1})\nrun.finish()\nprint(json.dumps(run.id))"
)


@contextmanager
def serving(home: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "MULTISTAGE_HOME": str(home), "COLUMNS": "200"}
    process = subprocess.Popen(
        [COMMAND, "serve", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", last: str) -> str:
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if last in line:
            return printed
    raise AssertionError(printed)


def test_client_works_with_what_it_prints_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--data", str(tmp_path / "data")) as process:
        printed = read_until(process, "Ctrl+C")
        assert "Warning" not in printed
        exports = dict(re.findall(r"^export (\w+)=(\S+)$", printed, re.MULTILINE))
        assert set(exports) == {"WANDB_BASE_URL", "WANDB_API_KEY"}
        assert exports["WANDB_BASE_URL"].startswith("http://127.0.0.1:")
        client = {**os.environ, **exports, "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}
        assert run_script(client, tmp_path, LOGS)
        with serving(tmp_path, "--data", str(tmp_path / "data")) as second:
            assert second.wait(60) == 1
            assert second.stderr is not None
            assert "already serves" in second.stderr.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert not (tmp_path / "data" / "server.json").exists()
    assert (tmp_path / "data" / "wandb.sqlite").exists()


def test_it_says_so_when_others_can_reach_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0") as process:  # noqa: S104
        printed = read_until(process, "Ctrl+C")
    assert "beyond this machine" in printed
    assert "nothing is encrypted" in printed
    assert str(tmp_path / "wandb_server") in printed


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--port", "70000"), 2, "no port 70000"),
        (("--host", "192.0.2.1"), 1, "cannot listen on 192.0.2.1"),
        (("--data", "/dev/null/folder"), 1, "The data folder /dev/null/folder cannot be used"),
    ],
)
def test_misuse(tmp_path: Path, options: tuple[str, ...], code: int, said: str) -> None:
    with serving(tmp_path, *options) as process:
        assert process.wait(30) == code
        assert process.stderr is not None
        assert said in process.stderr.read()

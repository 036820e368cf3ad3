"""What a user's shell gets: Prefect's own commands by one line, a password on the terminal alone, nothing elsewhere."""

import base64
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.flows.command_line import COMMAND, CommandLine


def read_key(commands: CommandLine) -> str:
    return commands.settings.prefect_key.read_text().strip()


def run_on_terminal(commands: CommandLine, *arguments: str) -> str:
    """Run a command whose output is a terminal; returns what it showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([COMMAND, *arguments], env=commands.environment, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while chunk := read_chunk(ours):
            shown += chunk
        assert process.wait(60) == 0
    os.close(ours)
    return shown.decode()


def read_chunk(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so that the other end is closed
        return b""


@pytest.mark.slow
def test_one_line_makes_prefects_own_commands_work(commands: CommandLine, workplace: Path) -> None:
    printed = commands.run("up").stdout
    line = next(line for line in printed.splitlines() if "eval" in line).partition(": ")[2]
    exports = commands.read_exports()
    assert set(exports) == {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
    environment = commands.environment | {
        "PATH": f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_API_URL": exports["PREFECT_API_URL"],
    }
    prefect = f"'{sys.executable}' -m prefect work-pool ls"
    for script, code in ((prefect, 1), (f"{line} && {prefect}", 0)):
        found = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=90)
        assert found.returncode == code, found.stdout + found.stderr
    both = commands.run("env", "--wandb").stdout
    assert "export WANDB_BASE_URL=http://127.0.0.1:" in both
    assert (commands.settings.wandb_server_folder / "key").read_text().strip() in both


def test_passwords_and_login_links_are_shown_on_a_terminal_only(commands: CommandLine, workplace: Path) -> None:
    for command in ("up", "status"):
        done = commands.run(command)
        shown = run_on_terminal(commands, command)
        for secret in (read_key(commands), "/-/login?token="):
            assert secret not in done.stdout + done.stderr
            assert secret in shown


@pytest.fixture
def foreign() -> Iterator[tuple[str, list[str]]]:
    """A Prefect server of somebody else's, and the credentials that it was shown."""
    shown: list[str] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers.get("Authorization", ""))
            self.send_response(401)
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api", shown
        server.shutdown()


def test_a_configured_server_is_not_shown_the_secret(
    commands: CommandLine, workplace: Path, foreign: tuple[str, list[str]]
) -> None:
    url, shown = foreign
    commands.run("up")
    held = commands.read_exports() | {"PREFECT_API_URL": url}
    turned_away = commands.run("up", code=1, variables=held)
    assert "refuses requests without its key (401)" in turned_away.stderr
    assert "Traceback" not in turned_away.stderr
    assert len(shown) > 1
    assert set(shown) == {""}
    theirs = "somebody:else"
    commands.run("up", code=1, variables=held | {"PREFECT_API_AUTH_STRING": theirs})
    assert f"Basic {base64.b64encode(theirs.encode()).decode()}" in shown
    refused = commands.run("env", code=2, variables=held)
    assert url in refused.stderr
    assert refused.stdout == ""

"""The automation of docs/notifications.md, made by its own script, tells a sink of a sweep that ended, once."""

import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import FAST, CommandLine, wait_for

DOCS = Path(__file__).parents[2] / "docs" / "notifications.md"


@pytest.mark.slow
def test_a_sweep_that_ends_is_told_of_once(commands: CommandLine, workplace: Path) -> None:
    told: list[str] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    commands.run("up")
    with HTTPServer(("127.0.0.1", 0), Sink) as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        found = re.search(r"```python\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
        assert found is not None
        script = found[1].replace("https://ntfy.sh/my-secret-topic", f"http://127.0.0.1:{sink.server_port}")
        environment = {**commands.environment, **commands.read_exports()}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120)
        commands.run("digits:mlp", "--params", "alpha", "--budget", "10", *FAST)
        wait_for(lambda: told, timeout=60)
        sink.shutdown()
    state = SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp").load_state()
    (message,) = told
    assert message.startswith("digits:mlp")
    assert ": Completed\n" in message
    assert f"{state.flow_run_id}" in message

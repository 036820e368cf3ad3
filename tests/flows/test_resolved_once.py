"""A sweep's request is resolved once, by whoever was asked: the command line hands what came of it to its flow."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import SWEEP, CommandLine

COUNTED = """
import atexit, functools, importlib, json, sys
from collections import Counter
from pathlib import Path

calls = Counter()

def count(module, name):
    found = importlib.import_module(module)
    real = getattr(found, name)
    @functools.wraps(real)
    def counted(*arguments, **named):
        calls[name] += 1
        return real(*arguments, **named)
    setattr(found, name, counted)

# Lowest first: whoever imports one of them gets the counted one.
count("multistage.wandb_client.login", "open_account")
count("multistage.request.feasibility", "check_launching")
count("multistage.request.sources.precedence", "gather_parameters")
count("multistage.request.asked_sweep", "read_parameters")
count("multistage.request.resolution", "resolve_request")
atexit.register(lambda: Path("calls.json").write_text(json.dumps(calls)))
from multistage.cli import main
main(sys.argv[1:])
"""


def run_counted(commands: CommandLine, place: Path, *words: str) -> Mapping[str, int]:
    command = [sys.executable, "-c", COUNTED, *words]
    done = subprocess.run(
        command, cwd=place, env=commands.environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: Mapping[str, int] = json.loads((place / "calls.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.timeout(1260)
def test_one_sweep_resolves_its_request_once_and_opens_its_account_once(commands: CommandLine, workplace: Path) -> None:
    once = dict.fromkeys(("open_account", "check_launching", "read_parameters", "resolve_request"), 1)
    assert run_counted(commands, workplace, *SWEEP, "--name", "once") == {**once, "gather_parameters": 1}
    state = SweepFolder(workplace / "runs" / "once").load_state()
    assert (state.status, state.request.tracker, state.budget_used) == ("completed", "embedded", 12)
    # What is taken up is what it began with: nothing is gathered.
    assert run_counted(commands, workplace, "resume", "once", "--budget", "14") == once
    assert SweepFolder(workplace / "runs" / "once").load_state().budget_used == 14

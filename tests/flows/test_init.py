"""`init` as a stranger types it: scripts that can be swept, and those that cannot."""

import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from multistage.request.sources.settings_file import parse_settings
from tests.flows.command_line import CommandLine, wait_for

SCRIPTS = Path(__file__).parents[1] / "scripts"


def read_section(workplace: Path, config_id: str) -> dict[str, Any]:
    path = workplace / "multistage.toml"
    return parse_settings(path.read_text(encoding="utf-8"), path).configs[config_id].list_given()


def check_nothing_left(commands: CommandLine) -> None:
    """Check that of what `init` started only the server lives."""
    names = [" ".join(process.cmdline()) for process in commands.list_processes()]
    assert [name for name in names if "multistage.worker" in name or "train.py" in name] == []


def test_a_script_is_met_and_its_run_taken_again(commands: CommandLine, workplace: Path) -> None:
    shutil.copy(SCRIPTS / "boolean_optional.py", workplace / "train.py")
    done = commands.run("init", "--yes", "--id", "init-met:v1", "--", sys.executable, "train.py", "--learning_rate=0.2")
    assert "To sweep: multistage-sweep init-met:v1\n" in done.stdout
    first = read_section(workplace, "init-met:v1")
    assert first == {
        "program": str(workplace / "train.py"),
        "style": "flags",
        "metric": "score",
        "goal": "maximize",
        "params": "learning_rate,n_steps",
        "baseline": ("learning_rate=0.2", "n_steps=9"),
        "workers": first["workers"],
        "budget": first["budget"],
    }
    check_nothing_left(commands)
    with commands.open_tracker() as api:
        run = next(iter(api.runs("local/init", filters={"config.learning_rate": 0.2})))
    refused = commands.run(
        "init", "--yes", "--id", "init-met:v1", "--from-run", f"local/init/{run.id}", "--change", "-n_steps", code=2
    )
    assert '-params = "learning_rate,n_steps"' in refused.stdout
    assert "--force makes these changes" in refused.stderr
    assert read_section(workplace, "init-met:v1") == first
    commands.run(
        *("init", "--yes", "--force", "--id", "init-met:v1", "--from-run", f"local/init/{run.id}"),
        *("--change", "-n_steps", "train.py"),
    )
    assert read_section(workplace, "init-met:v1")["params"] == "learning_rate"
    plan = commands.run("plan", "init-met:v1", "--budget", "12")
    assert "learning_rate" in plan.stdout


FAILING = {
    "a failure": ("print('on its way')\nraise ValueError('no data here')", "its last lines are: .*no data here"),
    "lacks wandb": ("print('trained')", "wandb.init"),
    "no row": ("import wandb\nwandb.init(config={'lr': 1.0}).finish()", "logged nothing"),
    "no number at all": ("import wandb\nwandb.init().log({'text': 'x'})", "logged no number"),
    "no metric": ("import wandb\nwandb.init().log({'text': 'x'})\nwandb.run.log({'epoch': 1})", "logged only epoch"),
    "a question": ("import wandb\nwandb.init()\ninput('Which GPU? ')", "asks for input"),
    "values that nobody knows": (
        "import wandb\nwandb.init()\nwandb.log({'score': wandb.config.flux})",
        "reads flux from wandb.config.*--baseline flux=VALUE",
    ),
    "a module that is missing": ("import no_such_module", "no_such_module.*--python PATH"),
    "silence": (
        "import subprocess, time, wandb\nwandb.init()\nsubprocess.Popen(['sleep', '99'])\ntime.sleep(99)",
        r"logged nothing within 3 s.*--init-timeout 300",
    ),
    "no number": (
        "import wandb\nwandb.init(config={'name': 'x'}).log({'score': 1.0})",
        "no hyperparameter",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAILING)
def test_a_script_by_which_no_sweep_can_go_fails_early(fault: str, commands: CommandLine, workplace: Path) -> None:
    text, told = FAILING[fault]
    (workplace / "train.py").write_text(text)
    refused = commands.run("init", "train.py", "--yes", "--init-timeout", "3" if fault == "silence" else "60", code=1)
    assert re.search(told, " ".join(refused.stderr.split())), refused.stderr
    assert "Traceback (most recent call last)" not in refused.stderr.partition("multistage-sweep:")[0]
    assert not (workplace / "multistage.toml").exists()
    check_nothing_left(commands)
    assert not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "99"]]


def test_an_interrupted_one_leaves_nothing(commands: CommandLine, workplace: Path) -> None:
    (workplace / "train.py").write_text(
        "import pathlib, time, wandb\nwandb.init()\npathlib.Path('there').touch()\ntime.sleep(99)"
    )
    with commands.start("init", "train.py", "--yes") as process:
        wait_for((workplace / "there").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    check_nothing_left(commands)

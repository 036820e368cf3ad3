"""Scripts of many families, with the libraries that they are written with, each swept whole by the command line."""

import ast
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from multistage.domain.runs.metric import read_metric
from multistage.domain.runs.results import Value
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.slot_ledger import SlotLedger
from tests.flows.command_line import NOTHING, CommandLine, TrackedRun, check_budget

SCRIPTS = Path(__file__).parents[1] / "scripts"
BUDGET = 10
USUAL = "learning_rate:0-1,use_amp:[true|false],n_steps:int:1-4"
"""What the small scripts of one shape take."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Family(NamedTuple):
    """A script, how it is swept, and what its author does to its runs."""

    program: str
    style: str = "argparse"
    params: str = USUAL
    metric: str = "score"
    goal: str = "maximize"
    named: str = r"theirs__\d+"
    """The display names of its runs."""
    libraries: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    """What every run gets."""
    command: str = ""
    """Instead of a style."""
    echo: Mapping[str, str] = NOTHING
    """Swept parameters, and the keys under which the script itself writes down what it got."""
    beside: int = 0
    """Runs of the script's own, outside of the sweep."""


FAMILIES = {
    "argparse": Family("argparse_underscores.py"),
    "argparse with hyphens": Family("argparse_hyphens.py", "hyphens"),
    "hyphened names": Family("argparse_hyphens.py", params="learning-rate:0-1,use-amp:[true|false],n-steps:int:1-4"),
    "switches": Family("switches.py", "hyphen-switches"),
    "click": Family("click_options.py", "hyphen-flags", libraries=("click",)),
    "absl": Family("absl_flags.py", libraries=("absl",)),
    "tyro": Family("tyro_dataclass.py", "flags", libraries=("tyro",)),
    "configurator": Family("configurator.py", "configurator"),
    "json": Family("json_file.py", "json-file"),
    "config": Family("config_only.py", "config"),
    "module": Family("training.train"),
    "a project of its own": Family("project_variable.py"),
    "all that can be logged": Family("own_packages/train.py"),
    "gymnasium-solver": Family("solver/train.py", "guide", named=r"script-\d+"),
    "CleanRL": Family(
        "cleanrl_dqn.py",
        "flags",
        params="learning_rate:log:1e-4-1e-2,gamma:0.9-0.99",
        metric="charts/episodic_return",
        named=r"CartPole-v1__cleanrl_dqn__1__\d+",
        libraries=("tyro", "torch", "tensorboard", "gymnasium"),
        fixed=("track=true",),
    ),
    "Stable-Baselines3": Family(
        "sb3_callback.py",
        params="learning_rate:log:1e-4-1e-2,n_steps:[32|64|128]",
        metric="rollout/ep_rew_mean",
        named=r"ppo-\d+",
        libraries=("stable_baselines3", "tensorboard"),
    ),
    "Hydra": Family(
        "hydra_project/train.py",
        "hydra",
        params="optimizer.lr:0-1,model:[small|large]",
        metric="val.loss",
        goal="minimize",
        named=r"(small|large)-.+",
        libraries=("hydra",),
    ),
    "Lightning": Family(
        "lightning_trainer.py",
        params="learning_rate:log:1e-3-1e-1,width:int:2-8",
        metric="val/loss",
        goal="minimize",
        named=r"width-\d",
        libraries=("lightning",),
    ),
    "LightningCLI": Family(
        "lightning_cli.py",
        "lightning",
        params="model.learning_rate:log:1e-3-1e-1,model.width:int:2-8,model.bias:[true|false]",
        metric="train_loss",
        goal="minimize",
        named="cli",
        libraries=("lightning", "jsonargparse"),
        echo={"model.learning_rate": "learning_rate", "model.width": "width", "model.bias": "bias"},
    ),
    "Trainer": Family(
        "hf_trainer.py",
        params="learning_rate:log:1e-4-1e-2,hidden_size:[8|16],dropout:0-0.5",
        metric="eval/loss",
        goal="minimize",
        named="theirs",
        libraries=("transformers", "accelerate"),
        fixed=("run_name=theirs", "report_to=wandb", "num_train_epochs=1", "eval_strategy=epoch", "use_cpu=true"),
    ),
    "ranks": Family("ranks.py", params="learning_rate:0-1,n_steps:int:1-4", named=r"rank-\d"),
    "torchrun": Family(
        "torchrun_ranks.py",
        params="learning_rate:0.01-0.5,n_steps:int:1-4",
        metric="loss",
        goal="minimize",
        named="ddp",
        libraries=("torch",),
        command="${env} ${interpreter} -m torch.distributed.run --standalone --nproc-per-node=2 ${program} ${args}",
    ),
    "folds": Family(
        "cross_validation.py", params="learning_rate:0-1", metric="mean_score", named=r"folds-[\d.]+", beside=3 * BUDGET
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_swept_whole(name: str, commands: CommandLine, workplace: Path) -> None:
    family = FAMILIES[name]
    for library in family.libraries:
        pytest.importorskip(library, reason=f"needs the extra `scripts`: {library}")
    shutil.copytree(SCRIPTS, workplace, dirs_exist_ok=True)
    label = name.lower().replace(" ", "-")
    done = commands.run(
        *(f"{label}:script", "--program", family.program, "--params", family.params),
        *(("--command", family.command) if family.command else ("--style", family.style)),
        *("--budget", str(BUDGET), "--metric", family.metric, "--goal", family.goal, "--json"),
        *(word for pair in family.fixed for word in ("--train-arg", pair)),
        timeout=800,
    )
    folder = SweepFolder(workplace / "runs" / f"multistage_sweep_{label}_script")
    result = json.loads(done.stdout)
    assert (result["project"], result["status"]) == (label, "completed")
    runs = check_budget(commands, folder, lost=0)
    assert {run.phase for run in runs} == {"finished"}
    values = [read_metric(run.summary, family.metric, family.goal) for run in runs]
    assert result["best_metric"] == (max if family.goal == "maximize" else min)(
        value for value in values if value is not None
    )
    assert None not in values
    if "taken" in runs[0].summary:
        given = read_given(folder)
        assert [ast.literal_eval(run.summary["taken"]) for run in runs] == [given[run.run_id] for run in runs]
    for parameter, key in family.echo.items():
        assert [read(run.config, key) for run in runs] == [run.config[parameter] for run in runs]
    check_names(commands, folder, runs, family)


def read_given(folder: SweepFolder) -> dict[str, tuple[Value, ...]]:
    """Read what the sweep gave each run, by its id."""
    ids = [record.sweep_id for record in folder.load_state().stages_completed]
    entries = [entry for one in ids for entry in SlotLedger(folder.locate_ledger(one)).entries]
    return {entry.run_id: tuple(entry.config.values()) for entry in entries if entry.run_id}


def read(values: dict[str, Any], key: str) -> Any:
    """Read a value, a nested one by its path with dots."""
    if key in values:
        return values[key]
    first, _, rest = key.partition(".")
    return read(values[first], rest)


def check_names(commands: CommandLine, folder: SweepFolder, runs: list[TrackedRun], family: Family) -> None:
    """Check that runs are called what their author calls them, and that no others of the project are the sweep's."""
    state = folder.load_state()
    ids = {run.run_id for run in runs}
    with commands.open_tracker() as api:
        names = {run.id: run.name for run in api.runs(f"{state.entity}/{state.project}")}
    assert ids <= set(names)
    assert len(names) == len(ids) + family.beside
    assert [name for one, name in names.items() if one in ids and not re.fullmatch(family.named, name)] == []

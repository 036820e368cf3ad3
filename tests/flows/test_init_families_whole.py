"""Scripts of many families: each met by `init`, then swept whole with no other flag than a budget."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget
from tests.flows.test_script_families_whole import FAMILIES, SCRIPTS

BUDGET = 12
TRAINER = "--run_name theirs --report_to wandb --num_train_epochs 1 --eval_strategy epoch --use_cpu true"
PARAMETERS = {"learning_rate": 0.1, "use_amp": True, "n_steps": 9}
TYPED = {
    "module": ["training.train"],
    "json": ["json_file.py", "given.json"],
    "json argument": ["json_argument.py", json.dumps(PARAMETERS)],
    "gymnasium-solver": ["--", "solver/train.py", "--config_id", "CartPole-v1:ppo", "--wandb_sweep"],
    "CleanRL": ["cleanrl_dqn.py", "--track"],
    "LightningCLI": ["lightning_cli.py", "fit"],
    "Trainer": ["--", "hf_trainer.py", *TRAINER.split()],
    "torchrun": [
        *("--", sys.executable, "-m", "torch.distributed.run"),
        *("--standalone", "--nproc-per-node=2", "torchrun_ranks.py"),
    ],
    "shell": ["run it.sh"],
    "dotted": ["dotted_flags.py", "fit"],
    "Hydra app": ["hydra_app.py"],
}
"""How their users start them, where the script's name alone does not."""
LIBRARIES = {"Hydra app": ("hydra",)}
NAMES = sorted({*FAMILIES, *TYPED} - {"hyphened names"})

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_met_and_swept_with_no_other_flag(name: str, commands: CommandLine, workplace: Path) -> None:
    family = FAMILIES.get(name)
    for library in family.libraries if family else LIBRARIES.get(name, ()):
        pytest.importorskip(library, reason=f"needs the extra `scripts`: {library}")
    shutil.copytree(SCRIPTS, workplace, dirs_exist_ok=True)
    (workplace / "given.json").write_text(json.dumps(PARAMETERS))
    label = f"met-{name.lower().replace(' ', '-')}"
    words = TYPED.get(name) or [family.program if family else ""]
    commands.run("init", "--yes", "--id", f"{label}:script", *words, timeout=400)
    done = commands.run(f"{label}:script", "--budget", str(BUDGET), "--json", timeout=1000)
    result = json.loads(done.stdout)
    assert (result["project"], result["status"]) == (label, "completed")
    folder = SweepFolder(workplace / "runs" / f"multistage_sweep_{label}_script")
    settings = folder.load_state().settings
    runs = check_budget(commands, folder, lost=0)
    assert {run.phase for run in runs} == {"finished"}
    assert settings.metric == (family.metric if family else "score")
    assert settings.goal == (family.goal if family else "maximize")
    assert settings.baseline.keys() == set(settings.space.names)
    assert result["best_metric"] is not None
    for parameter in settings.space.parameters:
        assert len({str(run.config.get(parameter.name)) for run in runs}) > 1

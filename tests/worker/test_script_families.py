"""Scripts as their authors wrote them, by the command of their style: what they took is what the run was given."""

import shutil
from pathlib import Path

import pytest
import wandb

from multistage.domain.sweep.request import SweepRequest
from multistage.request.subject.programs import settle_program
from tests.queued_sweeps import list_all_runs, queue_runs
from tests.worker.test_worker import read_log, working

SCRIPTS = Path(__file__).parents[1] / "scripts"
VALUES = ((0.25, False, 2), (1.0, True, 3))
NAMES = ("learning_rate", "use_amp", "n_steps")
NESTED = {
    "hydra": ("optimizer.learning_rate", "optimizer.use_amp", "n_steps"),
    "lightning": ("model.learning_rate", "model.use_amp", "trainer.n_steps"),
}
slow = pytest.mark.slow

FAMILIES = [
    pytest.param("argparse_underscores.py", "argparse", "", id="argparse", marks=slow),
    pytest.param("argparse_hyphens.py", "hyphens", "", id="argparse with hyphens", marks=slow),
    pytest.param("boolean_optional.py", "flags", "", id="BooleanOptionalAction"),
    pytest.param("switches.py", "hyphen-switches", "", id="store_true", marks=slow),
    pytest.param("click_options.py", "hyphen-flags", "click", id="click", marks=slow),
    pytest.param("tyro_dataclass.py", "flags", "tyro", id="tyro", marks=slow),
    pytest.param("tyro_dataclass.py", "hyphen-flags", "tyro", id="tyro with hyphens", marks=slow),
    pytest.param("absl_flags.py", "argparse", "absl", id="absl", marks=slow),
    pytest.param("hydra_app.py", "hydra", "hydra", id="hydra", marks=slow),
    pytest.param("dotted_flags.py", "lightning", "", id="LightningCLI", marks=slow),
    pytest.param("configurator.py", "configurator", "", id="configurator", marks=slow),
    pytest.param("json_argument.py", "json", "", id="json", marks=slow),
    pytest.param("json_file.py", "json-file", "", id="json-file", marks=slow),
    pytest.param("config_only.py", "config", "", id="config", marks=slow),
    pytest.param("solver/train.py", "guide", "", id="gymnasium-solver", marks=slow),
    pytest.param("training.train", None, "", id="module"),
    pytest.param("run it.sh", None, "", id="shell script", marks=slow),
]


@pytest.mark.parametrize(("program", "style", "library"), FAMILIES)
def test_a_script_takes_its_values_with_their_types(
    program: str, style: str | None, library: str, api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    if library:
        pytest.importorskip(library, reason=f"needs the extra `scripts`: {library}")
    place = workplace / "meine Läufe"
    shutil.copytree(SCRIPTS, place)
    request = SweepRequest(config_id="CartPole-v1:ppo", program=program, style=style)
    found, command = settle_program(request, program, (), place)
    names = NESTED.get(style or "", NAMES)
    configs = [dict(zip(names, values, strict=True)) for values in VALUES]
    sweep = queue_runs(api, str(found), configs, command=command)
    with working(tracker, place, sweep, idle=2) as worker:
        assert worker.wait(100) == 0
    runs = list_all_runs(sweep)
    log = read_log(place)
    assert [run.state for run in runs] == ["finished"] * 2, log
    taken = {run.summary["taken"] for run in runs}
    assert taken == {repr(values) for values in VALUES}, log
    assert {run.config[names[0]] for run in runs} == {0.25, 1.0}

"""A sweep's folder is begun, or taken up, only when everything fits."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from multistage.domain.sweep.plan import RunOptions, StageBrief, StageNumber
from multistage.domain.sweep.state import CutShort, StageProgress, StageRecord
from multistage.errors import FolderError, UsageError
from multistage.launchers.local.cores import count_cores
from multistage.request.asked_sweep import AskedSweep, locate_folder, read_parameters
from multistage.request.preparation import check_folder, prepare_folder
from multistage.request.resolution import ResolvedRequest, resolve_request
from multistage.store.sweep_folder import SweepFolder
from tests.states import make_settings, make_stage


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_ENTITY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def ask(place: Path, **changes: Any) -> tuple[AskedSweep, ResolvedRequest]:
    given = {"config_id": "digits:mlp", "params": "learning_rate", "budget": 20, "runs_dir": place / "runs"} | changes
    asked = read_parameters(given, place)
    return asked, resolve_request(asked.request, place)


def begin(asked: AskedSweep, resolved: ResolvedRequest) -> Any:
    return prepare_folder(asked.folder, asked.request, resolved.plan, asked.options, asked.resume)


def test_none_stands_for_a_default(tmp_path: Path) -> None:
    asked, _ = ask(tmp_path, workers=None, metric=None, name=None)
    assert asked.options.workers == count_cores()
    assert asked.options.directory == tmp_path
    assert asked.folder_path == tmp_path / "runs" / "multistage_sweep_digits_mlp"
    assert not asked.resume


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "/a", "../a", "a/"])
def test_a_name_that_is_no_single_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a valid name for a sweep"):
        ask(tmp_path, name=name)


def test_a_sweep_is_begun_with_its_whole_request(tmp_path: Path) -> None:
    asked, resolved = ask(tmp_path, name="mine")
    state = begin(asked, resolved)
    assert asked.folder.load_state() == state
    assert (state.status, state.name, state.budget_used, state.total_budget) == ("running", "mine", 0, 20)
    assert sum(stage.runs for stage in state.plan) == 20
    assert state.params == {"learning_rate": [1e-5, 0.1]}


def test_two_sweeps_of_one_name_are_told_apart(tmp_path: Path) -> None:
    assert begin(*ask(tmp_path / "a")).uid != begin(*ask(tmp_path / "b")).uid


def test_a_folder_that_holds_a_sweep_is_not_begun_again(tmp_path: Path) -> None:
    begin(*ask(tmp_path))
    asked, resolved = ask(tmp_path, params="alpha")
    before = asked.folder.state_file.read_bytes()
    with pytest.raises(FolderError, match="holds a sweep of digits:mlp already") as caught:
        begin(asked, resolved)
    assert "--resume" in caught.value.hint
    assert asked.folder.state_file.read_bytes() == before


def test_a_resume_needs_a_sweep(tmp_path: Path) -> None:
    asked, resolved = ask(tmp_path, resume=True)
    with pytest.raises(FolderError, match="does not exist"):
        check_folder(asked.folder, resolved.plan, resume=True)


def test_a_resume_takes_the_sweep_up_with_other_workers_in_the_first_directory(tmp_path: Path) -> None:
    first = begin(*ask(tmp_path, workers=1))
    asked, resolved = ask(tmp_path, workers=3, worker_idle=5.0, resume=True)
    elsewhere = asked.model_copy(
        update={"options": RunOptions(workers=3, worker_idle=5.0, directory=tmp_path / "elsewhere")}
    )
    state = begin(elsewhere, resolved)
    assert (state.uid, state.created_at, state.request) == (first.uid, first.created_at, first.request)
    assert (state.options.workers, state.options.worker_idle) == (3, 5.0)
    assert state.options.directory == tmp_path
    assert state.status == "running"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"params": "alpha"}, "params was"),
        ({"params": "alpha:1e-6-1"}, r"params was [^{}]+ and would be alpha[^{}]+\. Leave"),
        ({"seed": 1}, "seed was 0 and would be 1"),
        ({"goal": "minimize"}, "goal was 'maximize' and would be 'minimize'"),
        ({"metric": "train/loss"}, "metric was"),
        ({"split": "20/60/20"}, "split was"),
        ({"train_arg": ["epochs=2"]}, "train_arg was"),
        ({"project": "other"}, "project was 'digits' and would be 'other'"),
    ],
)
def test_a_resume_may_not_change_what_the_sweep_is(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    began = begin(*ask(tmp_path))
    asked, resolved = ask(tmp_path, resume=True, **changes)
    counted = StageProgress(stage=1, runs=9, used=1, best_metric=0.5, started_at=began.created_at)
    asked.folder.write_state(began.model_copy(update={"current_stage": counted}))
    before = asked.folder.state_file.read_bytes()
    with pytest.raises(UsageError, match=words):
        begin(asked, resolved)
    assert asked.folder.state_file.read_bytes() == before


def cut(number: StageNumber, runs: int, why: CutShort | None = None) -> StageRecord:
    return make_stage(number).model_copy(update={"runs_completed": runs, "cut_short": why})


@pytest.mark.parametrize(
    ("records", "kept", "runs", "reopened"),
    [
        # A deadline ended stage 1, and the others were trained from it: what it left is stage 3's.
        ([cut(1, 4, "deadline"), cut(2, 10), cut(3, 4)], [1, 2, 3], [6, 10, 6], [0, 0, 0]),
        # The money ended stage 2: it goes on, and stage 3, which trained nothing, comes after it.
        ([cut(1, 6), cut(2, 3, "cost cap"), cut(3, 0, "cost cap")], [1], [6, 10, 4], [0, 1, 1]),
        ([cut(1, 4, "deadline"), cut(2, 10), cut(3, 1, "deadline")], [1, 2], [6, 10, 6], [0, 0, 1]),
        ([cut(1, 2, "deadline")], [], [6, 10, 4], [1, 0, 0]),
        ([cut(1, 6), cut(2, 10), cut(3, 4)], [1, 2, 3], [6, 10, 4], [0, 0, 0]),
    ],
)
def test_a_resume_goes_on_with_what_a_deadline_or_a_cost_cap_left(
    records: list[StageRecord], kept: list[int], runs: list[int], reopened: list[int], tmp_path: Path
) -> None:
    changes = {"budget": 20, "stage1": "sobol"}
    first = begin(*ask(tmp_path, **changes))
    SweepFolder(tmp_path / "runs" / first.name).write_state(
        first.model_copy(update={"stages_completed": tuple(records), "status": "completed"})
    )
    for _ in range(2):
        state = begin(*ask(tmp_path, resume=True, **changes))
        assert [record.stage for record in state.stages_completed] == kept
        assert [stage.runs for stage in state.plan] == runs
        assert state.budget_used == sum(record.runs_completed for record in records[: len(kept)])
        assert [stage.reopened for stage in state.plan] == reopened


def test_a_resume_trains_the_usual_values_as_the_sweep_began(tmp_path: Path) -> None:
    usual = {"learning_rate": 1e-3}
    state = begin(*ask(tmp_path))
    assert [stage.defaults for stage in state.plan] == [usual, {}, usual]
    state = begin(*ask(tmp_path, resume=True, budget=30, baseline=("learning_rate=0.5",)))
    assert [stage.defaults for stage in state.plan] == [usual, {}, usual]
    raw = json.loads(state.model_dump_json())
    for stage in raw["plan"]:
        del stage["defaults"]  # as the release before this one wrote it
    asked, resolved = ask(tmp_path, resume=True, budget=40)
    asked.folder.state_file.write_text(json.dumps(raw))
    before = asked.folder.load_state()
    state = begin(asked, resolved)
    assert state.settings.baseline == usual
    assert [stage.defaults for stage in state.plan] == [{}, {}, {}]
    assert before.settings.hash_identity() == state.settings.hash_identity()


def test_a_sweep_that_another_process_drives_is_refused(tmp_path: Path) -> None:
    asked, resolved = ask(tmp_path)
    begin(asked, resolved)
    code = (
        "import sys; from pathlib import Path; from multistage.store.sweep_folder import SweepFolder\n"
        "with SweepFolder(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(asked.folder_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "held\n"
        for resume in (True, False):
            with pytest.raises(FolderError, match=f"Process {driver.pid} is already driving"):
                check_folder(asked.folder, resolved.plan, resume)
    with asked.folder.lock():
        assert check_folder(asked.folder, resolved.plan, resume=True) is not None


def test_a_hook_finds_the_folder_from_either_flows_parameters(tmp_path: Path) -> None:
    asked, resolved = ask(tmp_path, name="mine")
    brief = StageBrief(
        folder=asked.folder_path, stage=resolved.plan.stages[0], box=make_settings().space, key="0badcafe-6"
    )
    assert locate_folder({"brief": brief}) == asked.folder_path
    assert locate_folder({"brief": brief.model_dump()}) == asked.folder_path
    assert locate_folder({"config_id": "x", "name": "mine", "runs_dir": tmp_path / "runs"}) == asked.folder_path

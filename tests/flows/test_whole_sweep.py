"""A whole sweep through the real command line, and everything that can be done with it afterwards."""

import json
import shlex
import stat
from uuid import UUID

import pytest
import yaml
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
)

from multistage.report.artifacts import name_artifact
from multistage.report.links import link_page
from multistage.services.sweep_pages import find_sweep_page
from tests.flows.command_line import BUDGET, CommandLine, FinishedSweep, check_budget

GUIDE_KEYS = {
    "config_id", "entity", "project", "params", "metric_name", "total_budget", "budget_used", "stages_completed",
    "best_metric", "best_config",
}  # fmt: skip
TASKS = {"create_sweep", "launch_workers", "wait_for_runs", "fetch_top_configs", "narrow_ranges", "mirror_state"}

SWEEP_ARTIFACTS = ("plan", "progress", "best", "history", "result")
STAGE_ARTIFACTS = [(f"stage-{number}", *kind) for number in (1, 2, 3) for kind in ((), ("progress",), ("top-configs",))]


@pytest.fixture(autouse=True)
def there(finished: FinishedSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.place)


def test_it_used_exactly_its_budget(commands: CommandLine, finished: FinishedSweep) -> None:
    runs = check_budget(commands, finished.folder, lost=0)
    assert len(runs) == BUDGET
    assert {run.state for run in runs} == {"finished"}


def test_its_best_config_was_trained_and_is_the_best(commands: CommandLine, finished: FinishedSweep) -> None:
    state = finished.folder.load_state()
    runs = {run.run_id: run for runs in commands.list_runs(finished.folder).values() for run in runs}
    assert state.best_run is not None
    best = runs[state.best_run]
    assert state.best_config == {name: best.config[name] for name in ("learning_rate", "alpha")}
    assert state.best_metric == best.summary["val/accuracy"]
    assert state.best_metric == max(run.summary["val/accuracy"] for run in runs.values())
    assert {run.config["epochs"] for run in runs.values()} == {3}
    assert len({run.config["seed"] for run in runs.values()}) == BUDGET
    recommended = state.recommended
    assert recommended is not None
    assert recommended.config in [{name: run.config[name] for name in state.params} for run in runs.values()]


def test_nobody_else_may_read_what_it_wrote(commands: CommandLine, finished: FinishedSweep) -> None:
    folder, home = finished.folder, commands.settings.home
    # Here Prefect and W&B's client make the files; nobody else comes into the first two, and the last has folders only.
    others = (folder.results, folder.logs / "wandb", folder.logs / "local")
    found = [folder.path, home, *folder.path.rglob("*"), *home.rglob("*")]
    ours = [path for path in found if not path.is_symlink() and not {*others} & {*path.parents} and path != others[2]]
    assert {path.name for path in ours} >= {"state.json", "key", "wandb.sqlite", "prefect.db", "server.log", "results"}
    assert [path for path in ours if path.suffix == ".log" and "worker" in path.name]
    assert not [path for path in ours if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert not [path for path in others[2].rglob("*") if path.is_file()]


def test_it_ended_with_one_json_object_and_the_banner(finished: FinishedSweep) -> None:
    result = json.loads(finished.output)
    assert set(result) >= GUIDE_KEYS
    assert (result["budget_used"], result["status"], result["ended_because"]) == (BUDGET, "completed", "budget used")
    assert "settings" not in result
    assert "MULTI-STAGE SWEEP COMPLETE!" in finished.messages
    assert str(finished.folder.state_file) in finished.messages
    for line in ("Stage 1 of 3", "Stage 3 done", "Prefect UI: http://127.0.0.1:", "Warning: 12 runs are few"):
        assert line in finished.messages
    assert "Traceback" not in finished.messages


def test_it_says_whether_it_beat_the_defaults(commands: CommandLine, finished: FinishedSweep) -> None:
    state = finished.folder.load_state()
    usual = state.settings.baseline
    assert usual == {"learning_rate": 1e-3, "alpha": 1e-4}
    runs = [run for runs in commands.list_runs(finished.folder).values() for run in runs]
    trained = [run for run in runs if {name: run.config[name] for name in usual} == usual]
    last = state.plan[2].runs - 1
    assert sorted((run.name.stage, run.name.index) for run in trained) == [(1, 0), (3, last)]
    found = state.recommended
    assert found is not None
    assert found.verdict != "not compared"
    assert found.probability_better_than_defaults is not None
    assert "the defaults" in finished.messages
    assert "Whether it beats the defaults is unknown" not in finished.messages


def test_its_page_shows_it_whole(commands: CommandLine, finished: FinishedSweep) -> None:
    state = finished.folder.load_state()
    page = find_sweep_page(commands.settings, state.uid)
    assert page is not None
    assert state.page_url == page.address
    assert finished.messages.count(f"Watch it: {page.address} (") == 2  # at the start, and at the end
    assert "token=" not in finished.messages + finished.output
    told = page.read()
    assert told is not None
    assert (told.status, told.used, len(told.runs)) == ("completed", BUDGET, BUDGET)
    assert {run.phase for run in told.runs} == {"finished"}
    assert [stage.status for stage in told.stages] == ["done"] * 3
    assert [span.stage for span in told.parameters[0].spans] == [1, 2, 3]
    assert told.standing is not None
    assert state.recommended is not None
    assert told.standing.config == state.recommended.config
    assert "the defaults" in told.standing.told
    assert len(told.defaults) == 2
    assert told.run_base == f"/{state.entity}/{state.project}"


def test_its_state_has_the_guides_keys(finished: FinishedSweep) -> None:
    raw = json.loads(finished.folder.state_file.read_text())
    assert set(raw) >= GUIDE_KEYS
    assert raw["params"] == {"learning_rate": [1e-5, 0.1], "alpha": [1e-6, 1.0]}


def test_prefect_shows_the_whole_tree_completed(commands: CommandLine, finished: FinishedSweep) -> None:
    state = finished.folder.load_state()
    assert state.prefect_url
    parent_id = UUID(state.flow_run_id)
    with commands.open_prefect() as client:
        parent = client.read_flow_run(parent_id)
        assert parent.state_name == "Completed"
        assert parent.parameters["config_id"] == "digits:mlp"
        assert parent.name == f"digits:mlp, {BUDGET} runs"
        assert {"digits:mlp", f"sweep: {finished.folder.name}", "on: local"} <= set(parent.tags)
        below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent_id]))
        stages = client.read_flow_runs(flow_run_filter=below)
        assert {stage.name for stage in stages} == {f"{finished.folder.name}-stage{number}" for number in (1, 2, 3)}
        for stage in stages:
            assert stage.state_name == "Completed"
            tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[stage.id])))
            wanted = TASKS if not stage.name.endswith("3") else TASKS - {"narrow_ranges"}
            assert {task.name.split()[0] for task in tasks} == wanted
            assert {task.state_name for task in tasks} == {"Completed"}
            assert {*parent.tags, f"stage {stage.name[-1]}"} <= set(stage.tags)


def test_prefect_shows_plan_stages_progress_and_result_as_artifacts(
    commands: CommandLine, finished: FinishedSweep
) -> None:
    state = finished.folder.load_state()
    assert state.prefect_url
    with commands.open_prefect() as client:
        keys = [name_artifact(state, *parts) for parts in (*((one,) for one in SWEEP_ARTIFACTS), *STAGE_ARTIFACTS)]
        # Other sweeps of this name, in other folders, have left versions of the same.
        parents = [UUID(run_id) for run_id in state.flow_runs]
        below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=parents))
        runs = [*parents, *(run.id for run in client.read_flow_runs(flow_run_filter=below))]
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=keys), flow_run_id=ArtifactFilterFlowRunId(any_=runs))
        found = client.read_artifacts(artifact_filter=wanted)
    shown = {artifact.key: artifact for artifact in sorted(found, key=lambda one: str(one.created))}
    assert set(shown) == set(keys)
    assert shown[name_artifact(state, "history")].type == "image"
    for record in state.stages_completed:
        stage = f"stage-{record.stage}"
        text = str(shown[name_artifact(state, stage)].data)
        assert all(note.name.replace("_", "\\_") in text for note in record.narrowing)
        assert record.sweep_id in text
        assert shown[name_artifact(state, stage, "progress")].data == 100.0
        table = shown[name_artifact(state, stage, "top-configs")]
        assert (table.type, str(table.data).count('"place"')) == ("table", len(record.top_configs))
    assert "multistage-sweep train" in str(shown[name_artifact(state, "result")].data)
    page = f"[The sweep's page]({link_page(state)})"
    assert all(page in (artifact.description or "") for artifact in shown.values())
    on_parents = {artifact.key for artifact in shown.values() if str(artifact.flow_run_id) in state.flow_runs}
    assert on_parents == {name_artifact(state, one) for one in SWEEP_ARTIFACTS}
    best = json.loads(str(shown[name_artifact(state, "best")].data))
    assert len(best) == 10
    assert state.best_run in [row["run"] for row in best if row["val/accuracy"] == best[0]["val/accuracy"]]


def test_prefect_tells_the_whole_story_on_the_parents_page_and_each_stages_own_on_its(
    commands: CommandLine, finished: FinishedSweep
) -> None:
    state = finished.folder.load_state()
    first = state.flow_runs[0]
    _, parent = commands.read_flow_run(first)
    page = link_page(state)
    assert f"INFO Beginning the sweep {state.name}: digits:mlp, 12 runs in 3 stages" in "\n".join(parent)
    assert parent[1].endswith(f" to maximize val/accuracy. {page}")
    assert any(line.startswith("WARNING 12 runs are few") for line in parent)
    assert any(line.startswith(f"INFO The sweep {state.name} is done: 12 runs. Recommended: ") for line in parent[-4:])
    told = []
    for record, run in zip(state.stages_completed, commands.list_stage_runs(first), strict=True):
        _, own = commands.read_flow_run(run.id)
        ours = [line for line in own if "subflow run" not in line and "Finished in state" not in line]
        assert ours[0].startswith(f"INFO Stage {record.stage} of 3: {record.runs_completed} runs")
        end = next(line for line in ours if line.startswith(f"INFO Stage {record.stage} done: "))
        assert ours[ours.index(end) + 1 :] == [f"INFO {note.evidence}" for note in record.narrowing]
        told += ours
    assert [line for line in parent if line in told] == told, "the parent's page tells all that the stages' do"
    assert any(line.startswith("INFO Best so far: ") for line in told)


def test_a_second_start_is_refused_and_says_how_to_go_on(commands: CommandLine, finished: FinishedSweep) -> None:
    before = finished.folder.state_file.read_bytes()
    done = commands.run("digits:mlp", "--params", "learning_rate", "--budget", "20", code=2)
    assert len(done.stderr.strip().splitlines()) == 1
    for words in (f"`multistage-sweep resume {finished.folder.name}`", "--name", "status", "12 of 12 runs, completed"):
        assert words in done.stderr
    assert finished.folder.state_file.read_bytes() == before


def test_a_finished_sweep_is_resumed_at_once_and_trains_nothing(commands: CommandLine, finished: FinishedSweep) -> None:
    before = finished.folder.load_state()
    (torn,) = finished.folder.results.glob("stage2-wait_for_runs-*")
    torn.write_bytes(torn.read_bytes()[:80])  # as by a process that was killed in the middle of writing it
    done = commands.run("--resume", str(finished.folder.state_file))
    assert "MULTI-STAGE SWEEP COMPLETE!" in done.stdout
    check_budget(commands, finished.folder, lost=0)
    after = finished.folder.load_state()
    assert after.stages_completed == before.stages_completed
    assert (after.best_config, after.uid) == (before.best_config, before.uid)
    assert after.recommended == before.recommended


def test_a_resume_that_would_change_the_sweep_is_refused_with_the_difference(
    commands: CommandLine, finished: FinishedSweep
) -> None:
    before = finished.folder.state_file.read_bytes()
    done = commands.run("resume", finished.folder.name, "--seed", "7", "--goal", "minimize", code=2)
    assert "goal was 'maximize' and would be 'minimize'" in done.stderr
    assert "seed was 0 and would be 7" in done.stderr
    assert finished.folder.state_file.read_bytes() == before


def test_status_shows_it_alone_and_in_the_list(commands: CommandLine, finished: FinishedSweep) -> None:
    alone = commands.run("status", finished.folder.name).stdout
    assert "completed" in alone
    assert "12 of 12 runs" in alone
    assert finished.folder.name in commands.run("status").stdout
    raw = json.loads(commands.run("status", str(finished.folder.path), "--json").stdout)
    assert raw["budget_used"] == BUDGET


def test_best_prints_the_recommended_config_in_three_formats(commands: CommandLine, finished: FinishedSweep) -> None:
    recommended = finished.folder.load_state().recommended
    assert recommended is not None
    expected = {"epochs": 3, **recommended.config}
    name = finished.folder.name
    assert json.loads(commands.run("best", name).stdout) == expected
    assert yaml.safe_load(commands.run("best", name, "--format", "yaml").stdout) == expected
    words = shlex.split(commands.run("best", name, "--format", "args").stdout)
    assert words == [f"--{key}={value}" for key, value in expected.items()]

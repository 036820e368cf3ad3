"""The contract of runs: what W&B's client logs is what it reads back."""

import uuid
from pathlib import Path
from typing import Any

import pytest
import wandb

from tests.contract.leftovers import name_project
from tests.wandb_server.wandb_clients import run_command, run_script

pytestmark = pytest.mark.contract

LOGGED = """
import json, sys, wandb
with wandb.init(project={project!r}, name="first", group="g", tags=["a", "b"], notes="a note",
                config={{"lr": 0.1, "nested": {{"layers": 2}}, "name": "x"}}) as run:
    for step in range(25):
        run.log({{"loss": 1 / (step + 1), "train/roll/ep_rew/mean": step, "deep": {{"inner": step}}}})
    run.log({{"only/last": float("nan"), "end": float("inf")}})
    run.summary["best"] = 7
    print("written to the console")
    open("note.txt", "w").write("saved")
    run.save("note.txt")
print(json.dumps([run.entity, run.id]))
"""


@pytest.fixture(scope="module")
def project() -> str:
    return name_project()


@pytest.fixture(scope="module")
def run(tracker: dict[str, str], api: Any, project: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("logged")
    entity, run_id = run_script(tracker, folder, LOGGED.format(project=project))
    return api.run(f"{entity}/{project}/{run_id}")


def test_state_and_description(run: Any) -> None:
    assert run.state == "finished"
    assert run.name == "first"
    assert run.group == "g"
    assert sorted(run.tags) == ["a", "b"]
    assert run.notes == "a note"


def test_config_without_wandbs_own_keys(run: Any) -> None:
    assert run.config == {"lr": 0.1, "nested": {"layers": 2}, "name": "x"}


def test_summary_is_the_last_value(run: Any) -> None:
    assert run.summary["loss"] == pytest.approx(1 / 25)
    assert run.summary["train/roll/ep_rew/mean"] == 24
    assert run.summary["deep"]["inner"] == 24
    assert run.summary["best"] == 7
    assert str(run.summary["only/last"]) == "NaN"


def test_scan_history_holds_every_row(run: Any) -> None:
    rows = list(run.scan_history(keys=["_step", "loss"]))
    assert [row["_step"] for row in rows] == list(range(25))
    assert rows[3]["loss"] == pytest.approx(0.25)
    assert len(list(run.scan_history())) == 26
    assert [row["_step"] for row in run.scan_history(min_step=5, max_step=8, page_size=2)] == [5, 6, 7]


def test_history_is_sampled(run: Any) -> None:
    sampled = run.history(samples=5, keys=["train/roll/ep_rew/mean"], pandas=False)
    assert len(sampled) == 5
    assert sampled[-1] == {"_step": 24, "train/roll/ep_rew/mean": 24}
    assert len(run.history(samples=10, pandas=False)) == 10
    assert run.lastHistoryStep == 25


def test_files_are_listed_and_downloaded(run: Any, workplace: Path) -> None:
    names = {file.name for file in run.files()}
    assert {"note.txt", "config.yaml", "wandb-metadata.json", "output.log"} <= names
    with run.file("note.txt").download(root=str(workplace)) as file:
        assert file.read() == "saved"
    assert {file.name for file in run.files(pattern="%.json")} <= {name for name in names if name.endswith(".json")}
    assert run.metadata["program"] == "<python with no main file>" or run.metadata["python"]


def test_file_is_uploaded_and_deleted(run: Any, workplace: Path) -> None:
    (workplace / "späte datei #1.txt").write_text("late")
    file = run.upload_file("späte datei #1.txt")
    assert file.size == 4
    with file.download(root=str(workplace / "again")) as content:
        assert content.read() == "late"
    file.delete()
    assert "späte datei #1.txt" not in {found.name for found in run.files()}


def test_console_is_kept(run: Any) -> None:
    assert "written to the console" in {line.content for line in run.console_logs()}
    assert [line.content for line in run.console_logs(last=1)] != []


def test_changes_through_the_api_are_kept(run: Any, api: Any) -> None:
    path = "/".join(run.path)
    run.config["added"] = 1
    run.name = "renamed"
    run.update()
    run.summary["late"] = 2
    run.summary.update()
    api.flush()
    again = api.run(path)
    assert again.config["added"] == 1
    assert again.name == "renamed"
    assert again.summary["late"] == 2
    assert again.state == "finished"


def test_missing_run_and_project(api: Any, project: str, run: Any) -> None:
    with pytest.raises((wandb.errors.CommError, ValueError), match="Could not find"):
        api.run(f"{run.entity}/{project}/nothere1")
    with pytest.raises((wandb.errors.CommError, ValueError), match="Could not find project"):
        list(api.runs(f"{run.entity}/no-such-{project}"))


def test_failed_run(tracker: dict[str, str], api: Any, project: str, tmp_path: Path) -> None:
    source = f"""
import json, wandb
run = wandb.init(project={project!r})
run.log({{"loss": 1}})
run.finish(exit_code=3)
print(json.dumps([run.entity, run.id]))
"""
    entity, run_id = run_script(tracker, tmp_path, source)
    assert api.run(f"{entity}/{project}/{run_id}").state == "failed"


def test_what_a_server_does_not_know_breaks_no_run(
    tracker: dict[str, str], api: Any, project: str, tmp_path: Path
) -> None:
    source = f"""
import json, wandb
run = wandb.init(project={project!r})
run.alert("title", "text")
run.log({{"loss": 1}})
run.finish()
print(json.dumps([run.entity, run.id]))
"""
    entity, run_id = run_script(tracker, tmp_path, source)
    run = api.run(f"{entity}/{project}/{run_id}")
    assert run.state == "finished"
    assert run.summary["loss"] == 1


def test_resumed_run_goes_on(tracker: dict[str, str], api: Any, project: str, tmp_path: Path) -> None:
    source = f"""
import json, sys, wandb
for part in range(2):
    run = wandb.init(project={project!r}, id="resumed{uuid.uuid4().hex[:6]}" if part == 0 else run.id, resume="allow",
                     config={{"part": part}})
    for step in range(5):
        run.log({{"loss": part * 5 + step}})
    first = run.resumed
    run.finish()
print(json.dumps([run.entity, run.id, first]))
"""
    entity, run_id, resumed = run_script(tracker, tmp_path, source)
    assert resumed is True
    run = api.run(f"{entity}/{project}/{run_id}")
    rows = [(row["_step"], row["loss"]) for row in run.scan_history()]
    assert rows == [(step, step) for step in range(10)]
    assert run.state == "finished"


def test_offline_run_is_synced(tracker: dict[str, str], api: Any, project: str, tmp_path: Path) -> None:
    source = f"""
import json, wandb
run = wandb.init(project={project!r}, mode="offline", config={{"lr": 2}})
for step in range(5):
    run.log({{"loss": step}})
run.finish()
print(json.dumps([run.id, run.dir]))
"""
    run_id, folder = run_script({**tracker, "WANDB_DIR": str(tmp_path)}, tmp_path, source)
    run_command(tracker, tmp_path, "sync", str(Path(folder).parent))
    run = api.run(f"{api.default_entity}/{project}/{run_id}")
    assert run.state == "finished"
    assert run.config["lr"] == 2
    assert [row["loss"] for row in run.scan_history()] == [0, 1, 2, 3, 4]


def test_run_is_deleted(tracker: dict[str, str], api: Any, project: str, tmp_path: Path) -> None:
    source = f"""
import json, wandb
run = wandb.init(project={project!r})
run.finish()
print(json.dumps([run.entity, run.id]))
"""
    entity, run_id = run_script(tracker, tmp_path, source)
    api.run(f"{entity}/{project}/{run_id}").delete()
    api.flush()
    with pytest.raises((wandb.errors.CommError, ValueError), match="Could not find"):
        api.run(f"{entity}/{project}/{run_id}")

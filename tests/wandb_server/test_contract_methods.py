"""Every public method and command of the installed client is asked of the server by a test, or has its refusal."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.apis import public
from wandb.cli.cli import cli

from tests.contract.leftovers import name_project
from tests.wandb_server import refusals
from tests.wandb_server.wandb_clients import run_command, run_script

OFFLINE = """
import json, wandb
run = wandb.init(mode="offline")
run.log({"x": 1})
run.finish()
print(json.dumps(run.dir))
"""
TYPES = (public.Api, public.Run, public.Sweep, public.File, public.ArtifactCollection, wandb.Artifact)
FOLDER = Path(__file__).parent
TESTS = "\n".join(path.read_text() for path in [*FOLDER.glob("*.py"), *FOLDER.glob("scripts/*.py")])

LOGGED = """
import json, wandb
with wandb.init(project={project!r}, config={{"lr": 1}}) as run:
    open("note.txt", "w").write("saved")
    run.save("note.txt")
    run.log({{"x": 1}})
    artifact = wandb.Artifact("files", type="dataset")
    open("near.txt", "w").write("near")
    artifact.add_reference("file://" + __import__("os").path.abspath("near.txt"))
    __import__("os").makedirs("folder")
    open("folder/one.txt", "w").write("one")
    artifact.add_dir("folder")
    artifact.add(wandb.Table(columns=["a"], data=[[1]]), "table")
    assert artifact.is_draft()
    artifact.finalize()
    run.log_artifact(artifact).wait()
    draft = artifact.new_draft()
    draft.remove("near.txt")
    run.log_artifact(draft).wait()
plan = {{"method": "random", "parameters": {{"lr": {{"min": 0.0, "max": 1.0}}}}}}
print(json.dumps([run.entity, run.id, wandb.sweep(plan, project={project!r})]))
"""


def list_methods(kind: type) -> list[str]:
    return [name for name, value in inspect.getmembers(kind) if not name.startswith("_") and callable(value)]


def list_commands(group: Any, before: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from list_commands(command, (*before, name))
        else:
            yield " ".join((*before, name))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_public_method_is_called_or_refused_with_a_reason(kind: type) -> None:
    refused, methods = refusals.METHODS[kind.__name__], list_methods(kind)
    called = {name for name in methods if re.search(rf"\.{name}\(", TESTS)}
    assert sorted(set(methods) - called - set(refused)) == [], "neither called by a test nor refused"
    assert sorted(set(refused) - set(methods)) == [], "the client has these no more"
    assert all(refused.values())


def test_every_command_is_run_or_refused_with_a_reason() -> None:
    commands = set(list_commands(cli))
    run = {name for name in commands if re.search(r",\s*".join(f'"{word}"' for word in name.split()), TESTS)}
    assert sorted(commands - run - set(refusals.COMMANDS)) == [], "neither run by a test nor refused"
    assert sorted(set(refusals.COMMANDS) - commands) == [], "the client has these no more"


@pytest.fixture(scope="module")
def logged(tracker: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    project = name_project()
    source = LOGGED.format(project=project)
    entity, run_id, sweep_id = run_script(tracker, tmp_path_factory.mktemp("methods"), source, timeout=180)
    return f"{entity}/{project}", run_id, sweep_id


@pytest.mark.contract
def test_the_rest_of_runs(api: Any, logged: tuple[str, str, str]) -> None:
    project, run_id, sweep_id = logged
    run = api.from_path(f"{project}/{run_id}")
    assert [row["x"] for row in run.beta_scan_history(keys=["x"])] == [1]
    run.wait_until_finished()
    run.load_full_data()
    assert run_id in run.to_html()
    run.display()
    made = api.create_run(project=project.partition("/")[2], entity=project.partition("/")[0])
    assert api.run(f"{project}/{made.id}").id == made.id
    assert made.update_state("pending")
    assert public.Run.create(api, project=project.partition("/")[2]).id != made.id
    file = run.file("note.txt")
    assert file.size == 5
    sweep = api.sweep(f"{project}/{sweep_id}")
    assert sweep_id in sweep.to_html()
    sweep.display()


@pytest.mark.contract
def test_the_rest_of_artifacts(api: Any, logged: tuple[str, str, str], workplace: Path) -> None:
    entity, _, project = logged[0].partition("/")
    assert "dataset" in {kind.name for kind in api.artifact_types(logged[0])}
    assert len(list(api.artifact_versions("dataset", f"{logged[0]}/files"))) == 2
    api.create_project(f"{project}-made", entity)
    assert api.project(f"{project}-made", entity).name == f"{project}-made"
    first, second = api.artifact(f"{logged[0]}/files:v0"), api.artifact(f"{logged[0]}/files:v1")
    assert set(first.manifest.entries) - set(second.manifest.entries) == {"near.txt"}
    assert first.get_path("one.txt").path == "one.txt"
    assert first.get_added_local_path_name(first) is None
    assert first.json_encode()["id"] == first.id
    assert sorted(path.name for path in Path(second.checkout(root=str(workplace / "out"))).iterdir()) == [
        "one.txt",
        "table.table.json",
    ]
    collection = api.artifact_collection("dataset", f"{logged[0]}/files")
    assert collection.is_sequence()
    collection.change_type("corpus")
    assert api.artifact_collection("corpus", f"{logged[0]}/files").type == "corpus"


@pytest.mark.slow
@pytest.mark.contract
def test_the_rest_of_the_command_line(tracker: dict[str, str], logged: tuple[str, str, str], workplace: Path) -> None:
    entity, _, project = logged[0].partition("/")
    run_command(tracker, workplace, "login", "--verify", timeout=180)
    run_command(tracker, workplace, "init", "--project", project, "--entity", entity, "--mode", "online", timeout=180)
    run_command(tracker, workplace, "pull", logged[1], "--project", project, "--entity", entity, timeout=180)
    assert (workplace / "note.txt").read_text() == "saved"
    offline = Path(run_script({**tracker, "WANDB_DIR": str(workplace)}, workplace, OFFLINE, timeout=180)).parent
    run_command(tracker, workplace, "beta", "sync", str(offline), timeout=180)

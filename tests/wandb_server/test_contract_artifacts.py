"""The contract of artifacts: what one run logs, another uses; tables are artifacts too."""

from pathlib import Path
from typing import Any

import pytest

from tests.contract.leftovers import name_project
from tests.wandb_server.wandb_clients import run_script

pytestmark = pytest.mark.contract

LOGGED = """
import json, wandb
with wandb.init(project={project!r}) as run:
    for version in range(3):
        open("model.txt", "w").write("weights " + str(max(version, 1)))
        artifact = wandb.Artifact("model", type="model", metadata={{"version": version}}, description="a model")
        artifact.add_file("model.txt", name="deep/model.txt")
        with artifact.new_file("constant.txt") as file:
            file.write("the same in every version")
        run.log_artifact(artifact, aliases=["best"] if version == 1 else [])
    run.log({{"table": wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])}})
print(json.dumps([run.entity, run.id]))
"""
USED = """
import json, wandb
with wandb.init(project={project!r}) as run:
    artifact = run.use_artifact("model:best")
    folder = artifact.download(root="downloaded")
print(json.dumps([run.id, open("downloaded/deep/model.txt").read(), artifact.version]))
"""


@pytest.fixture(scope="module")
def project() -> str:
    return name_project()


@pytest.fixture(scope="module")
def logged(tracker: dict[str, str], project: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    entity, run_id = run_script(tracker, tmp_path_factory.mktemp("logged"), LOGGED.format(project=project))
    return f"{entity}/{project}", run_id


def test_versions_and_aliases(api: Any, logged: tuple[str, str], workplace: Path) -> None:
    project, run_id = logged
    latest = api.artifact(f"{project}/model:latest")
    # The first two versions have the same content: they are one.
    assert latest.version == "v1"
    assert api.artifact(f"{project}/model:best").version == "v0"
    assert latest.metadata == {"version": 2}
    assert latest.description == "a model"
    assert latest.size == len("weights 2" + "the same in every version")
    assert latest.logged_by().id == run_id
    folder = Path(latest.download(root=str(workplace / "model")))
    assert (folder / "deep" / "model.txt").read_text() == "weights 2"
    assert (folder / "constant.txt").read_text() == "the same in every version"
    assert [version.version for version in api.artifacts("model", f"{project}/model")] == ["v1", "v0"]


def test_other_run_uses_it(
    api: Any, tracker: dict[str, str], project: str, logged: tuple[str, str], tmp_path: Path
) -> None:
    run_id, content, version = run_script(tracker, tmp_path, USED.format(project=project))
    assert (content, version) == ("weights 1", "v0")
    artifact = api.artifact(f"{logged[0]}/model:best")
    assert [run.id for run in artifact.used_by()] == [run_id]
    assert [used.name for used in api.run(f"{logged[0]}/{run_id}").used_artifacts()] == ["model:v0"]


def test_table_comes_back(api: Any, logged: tuple[str, str], workplace: Path) -> None:
    project, run_id = logged
    assert api.run(f"{project}/{run_id}").summary["table"]["nrows"] == 2
    table = api.artifact(f"{project}/run-{run_id}-table:latest").get("table")
    assert table.data == [[1, "x"], [2, "y"]]
    names = {artifact.name for artifact in api.run(f"{project}/{run_id}").logged_artifacts()}
    assert {"model:v0", "model:v1"} <= names


def test_changes_are_kept(api: Any, logged: tuple[str, str]) -> None:
    artifact = api.artifact(f"{logged[0]}/model:latest")
    artifact.aliases.append("chosen")
    artifact.description = "changed"
    artifact.save()
    again = api.artifact(f"{logged[0]}/model:chosen")
    assert again.version == "v1"
    assert again.description == "changed"


def test_missing_artifact(api: Any, logged: tuple[str, str]) -> None:
    with pytest.raises(Exception, match="not found"):
        api.artifact(f"{logged[0]}/nothing:latest")

"""The contract of artifacts beyond logging and using: collections, links, tags, parts of versions, deletion."""

from pathlib import Path
from typing import Any

import pytest
import wandb

from tests.contract.leftovers import name_project
from tests.wandb_server.wandb_clients import run_command, run_script

pytestmark = pytest.mark.contract

LOGGED = """
import json, wandb
with wandb.init(project={project!r}) as run:
    for version in range(3):
        artifact = wandb.Artifact("data", type="dataset", incremental=version > 0)
        with artifact.new_file(f"part{{version}}.txt") as file:
            file.write(f"content {{version}}")
        run.log_artifact(artifact, tags=["first"] if version == 0 else [], aliases=[f"a{{version}}"]).wait()
    other = wandb.Artifact("weights", type="model")
    with other.new_file("w.txt") as file:
        file.write("w")
    run.log_artifact(other).wait()
    run.link_artifact(artifact, "chosen", aliases=["good"])
    for part in range(2):
        shared = wandb.Artifact("shared", type="dataset")
        with shared.new_file(f"rank{{part}}.txt") as file:
            file.write("x")
        run.upsert_artifact(shared, distributed_id="together")
    run.finish_artifact(wandb.Artifact("shared", type="dataset"), distributed_id="together")
    try:
        run.log_artifact(wandb.Artifact("far", type="dataset", storage_region="mars")).wait()
    except ValueError as error:
        refused = str(error)
    else:
        refused = ""
print(json.dumps([run.entity, run.id, refused]))
"""


@pytest.fixture(scope="module")
def logged(tracker: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    project = name_project()
    entity, run_id, refused = run_script(
        tracker, tmp_path_factory.mktemp("logged"), LOGGED.format(project=project), timeout=180
    )
    return f"{entity}/{project}", run_id, refused


@pytest.fixture
def fresh(api: Any) -> Any:
    api.flush()
    return api


def test_an_incremental_version_keeps_earlier_files(fresh: Any, logged: tuple[str, str, str], workplace: Path) -> None:
    artifact = fresh.artifact(f"{logged[0]}/data:latest")
    assert sorted(artifact.manifest.entries) == ["part0.txt", "part1.txt", "part2.txt"]
    assert artifact.file_count == 3
    files = {file.name: file for file in artifact.files(per_page=2)}
    assert sorted(files) == sorted(artifact.manifest.entries)
    assert len(artifact.files()) == 3
    assert files["part1.txt"].digest == artifact.manifest.entries["part1.txt"].digest
    assert files["part1.txt"].storage_path.endswith(files["part1.txt"].digest)
    assert [file.name for file in artifact.files(names=["part2.txt"])] == ["part2.txt"]
    path = artifact.get_entry("part0.txt").download(root=str(workplace / "one"))
    assert Path(path).read_text() == "content 0"
    artifact.download(root=str(workplace / "all"))
    artifact.verify(root=str(workplace / "all"))


def test_several_runs_write_one_version(fresh: Any, logged: tuple[str, str, str]) -> None:
    artifact = fresh.artifact(f"{logged[0]}/shared:latest")
    assert sorted(artifact.manifest.entries) == ["rank0.txt", "rank1.txt"]


def test_unknown_storage_region_is_refused(logged: tuple[str, str, str]) -> None:
    assert "region" in logged[2]


def test_versions_in_order_and_by_tag(fresh: Any, logged: tuple[str, str, str]) -> None:
    names = [artifact.version for artifact in fresh.artifacts("dataset", f"{logged[0]}/data", order="+created_at")]
    assert names == ["v0", "v1", "v2"]
    assert [one.version for one in fresh.artifacts("dataset", f"{logged[0]}/data", tags=["first"])] == ["v0"]
    assert fresh.artifact_exists(f"{logged[0]}/data:a1")
    assert not fresh.artifact_exists(f"{logged[0]}/data:nothing")


def test_tags_and_description_are_saved(fresh: Any, logged: tuple[str, str, str]) -> None:
    artifact = fresh.artifact(f"{logged[0]}/data:a1")
    artifact.tags = ["red", "blue"]
    artifact.description = "described"
    artifact.metadata["score"] = 3
    artifact.save()
    fresh.flush()
    again = fresh.artifact(f"{logged[0]}/data:v1")
    assert (sorted(again.tags), again.description, again.metadata) == (["blue", "red"], "described", {"score": 3})
    again.tags = ["red"]
    again.save()
    assert fresh.artifact(f"{logged[0]}/data:v1").tags == ["red"]


def test_collections_are_listed_filtered_and_ordered(fresh: Any, logged: tuple[str, str, str]) -> None:
    entity, _, name = logged[0].partition("/")
    project = fresh.project(name, entity=entity)
    assert {"data", "weights", "chosen", "shared"} <= {one.name for one in project.collections()}
    ordered = [one.name for one in fresh.artifact_type("dataset", logged[0]).collections(order="+name")]
    assert ordered == sorted(ordered)
    assert "weights" not in ordered
    chosen = project.collections(filters={"name": {"$in": ["weights", "data"]}})
    assert {one.name for one in chosen} == {"weights", "data"}
    assert {one.name for one in fresh.artifact_collections(logged[0], "model")} == {"weights"}
    collection = fresh.artifact_collection("dataset", f"{logged[0]}/data")
    assert {"latest", "a0", "a1", "a2"} <= set(collection.aliases)
    assert [version.version for version in collection.artifacts()] == ["v2", "v1", "v0"]
    assert fresh.artifact(f"{logged[0]}/data:v0").collection.name == "data"
    assert fresh.artifact_collection_exists(f"{logged[0]}/data", "dataset")
    assert not fresh.artifact_collection_exists(f"{logged[0]}/nothing", "dataset")


def test_a_link_comes_and_goes(fresh: Any, logged: tuple[str, str, str], workplace: Path) -> None:
    link = fresh.artifact(f"{logged[0]}/chosen:good")
    assert link.is_link
    assert link.source_name == "data:v2"
    assert link.version == "v0"
    assert (Path(link.download(root=str(workplace / "link"))) / "part1.txt").read_text() == "content 1"
    source = fresh.artifact(f"{logged[0]}/data:v2")
    assert [one.name for one in source.linked_artifacts] == ["chosen:v0"]
    entity, _, project = logged[0].partition("/")
    elsewhere = source.link(f"{entity}/{project}-other/models")
    assert elsewhere.project == f"{project}-other"
    elsewhere.unlink()
    fresh.flush()
    assert not fresh.artifact_exists(f"{entity}/{project}-other/models:v0")
    assert fresh.artifact_exists(f"{logged[0]}/data:v2")
    with pytest.raises((ValueError, wandb.errors.CommError), match="organization"):
        source.link("wandb-registry-model/models")


def test_a_collection_is_renamed_moved_tagged_and_deleted(fresh: Any, logged: tuple[str, str, str]) -> None:
    collection = fresh.artifact_collection("model", f"{logged[0]}/weights")
    collection.name, collection.type, collection.description = "heavy", "checkpoint", "words"
    collection.tags = ["old", "new"]
    collection.save()
    again = fresh.artifact_collection("checkpoint", f"{logged[0]}/heavy")
    assert (again.description, sorted(again.tags)) == ("words", ["new", "old"])
    again.tags = ["new"]
    again.save()
    assert fresh.artifact_collection("checkpoint", f"{logged[0]}/heavy").tags == ["new"]
    again.delete()
    fresh.flush()
    assert not fresh.artifact_collection_exists(f"{logged[0]}/heavy", "checkpoint")


def test_a_named_version_is_deleted_on_purpose_only(fresh: Any, logged: tuple[str, str, str]) -> None:
    artifact = fresh.artifact(f"{logged[0]}/data:a0")
    with pytest.raises(wandb.errors.CommError, match="has the aliases a0"):
        artifact.delete()
    artifact.delete(delete_aliases=True)
    fresh.flush()
    assert not fresh.artifact_exists(f"{logged[0]}/data:v0")
    assert fresh.artifact_exists(f"{logged[0]}/data:v1")


def test_the_command_line_lists_puts_and_gets(
    tracker: dict[str, str], logged: tuple[str, str, str], workplace: Path
) -> None:
    (workplace / "file.txt").write_text("put")
    run_command(
        tracker,
        workplace,
        "artifact",
        "put",
        "file.txt",
        "--name",
        f"{logged[0]}/put",
        "--type",
        "dataset",
        timeout=180,
    )
    assert "put" in run_command(tracker, workplace, "artifact", "ls", logged[0], timeout=180)
    run_command(tracker, workplace, "artifact", "get", f"{logged[0]}/put:latest", "--root", "got", timeout=180)
    assert (workplace / "got" / "file.txt").read_text() == "put"


def test_a_run_goes_with_its_artifacts(fresh: Any, logged: tuple[str, str, str]) -> None:
    fresh.run(f"{logged[0]}/{logged[1]}").delete(delete_artifacts=True)
    fresh.flush()
    assert not fresh.artifact_exists(f"{logged[0]}/data:v1")

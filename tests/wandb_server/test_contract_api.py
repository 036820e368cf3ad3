"""The contract of ``wandb.Api``: filters, orders, pages, and every kind of history and media."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.leftovers import name_project
from tests.wandb_server.wandb_clients import run_script

pytestmark = pytest.mark.contract

RUNS = """
import json, wandb
for index in range(6):
    with wandb.init(project={project!r}, name=f"run {{index}}", group="even" if index % 2 == 0 else "odd",
                    job_type="train", tags=["all", f"tag{{index % 3}}"],
                    config={{"lr": index / 10, "model": {{"depth": index}}, "kind": "abc"[index % 3]}}) as run:
        run.define_metric("loss", summary="min")
        for step in range(3):
            run.log({{"loss": index + (step - 1) ** 2, "score": index * 1.5, "sparse": step}} if step != 1
                    else {{"loss": index}})
print(json.dumps(run.entity))
"""
MEDIA = """
import json, os, numpy, wandb
with wandb.init(project={project!r}) as run:
    os.makedirs("checkpoints")
    for name in ("checkpoints/a.pt", "checkpoints/b.pt", "late.txt"):
        open(name, "w").write("first")
    run.save("checkpoints/*.pt", base_path=".")
    run.save("late.txt", policy="end")
    open("late.txt", "w").write("last")
    for step in range(2):
        picture = wandb.Image(numpy.full((4, 5, 3), 40 * step, dtype=numpy.uint8), caption=f"at {{step}}")
        run.log({{"picture": picture, "histogram": wandb.Histogram([1, 2, 2, 3]), "page": wandb.Html("<b>x</b>")}})
    run.log({{"several": [picture, picture]}})
print(json.dumps([run.entity, run.id]))
"""


@pytest.fixture(scope="module")
def project() -> str:
    return name_project()


@pytest.fixture(scope="module")
def path(tracker: dict[str, str], project: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    entity = run_script(tracker, tmp_path_factory.mktemp("runs"), RUNS.format(project=project))
    return f"{entity}/{project}"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "012345"),
        ({"state": "finished"}, "012345"),
        ({"state": {"$ne": "finished"}}, ""),
        ({"group": "odd"}, "135"),
        ({"jobType": "train", "displayName": {"$regex": "run [0-2]$"}}, "012"),
        ({"tags": "tag1"}, "14"),
        ({"tags": {"$in": ["tag0", "tag2"]}}, "0235"),
        ({"tags": {"$all": ["all", "tag0"]}}, "03"),
        ({"tags": {"$exists": True}}, "012345"),
        ({"tags": {"$regex": "g[01]$"}}, "0134"),
        ({"duration": {"$gte": 0, "$lt": 3600}}, "012345"),
        ({"duration": {"$gt": 3600}}, ""),
        ({"username": {"$ne": "nobody of this name"}}, "012345"),
        ({"config.lr": {"$gte": 0.2, "$lt": 0.5}}, "234"),
        ({"config.kind": {"$in": ["a", "c"]}}, "0235"),
        ({"config.kind": {"$nin": ["a", "c"]}}, "14"),
        ({"config.model.depth": {"$gt": 3}}, "45"),
        ({"config.missing": {"$exists": False}}, "012345"),
        ({"summary_metrics.score": {"$lte": 1.5}}, "01"),
        ({"$or": [{"config.lr": 0.1}, {"displayName": "run 5"}]}, "15"),
        ({"$and": [{"group": "even"}, {"$not": {"config.kind": "a"}}]}, "24"),
        ({"createdAt": {"$gt": "2020-01-01T00:00:00"}}, "012345"),
        ({"createdAt": {"$gt": "2100-01-01T00:00:00Z"}}, ""),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else value,
)
def test_filters(api: Any, path: str, filters: dict[str, Any], found: str) -> None:
    runs = api.runs(path, filters=filters, order="+created_at")
    assert "".join(run.name.removeprefix("run ") for run in runs) == found
    assert len(runs) == len(found)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("+created_at", "012345"),
        ("-created_at", "543210"),
        ("-summary_metrics.score", "543210"),
        ("+config.lr.value", "012345"),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 50])
def test_orders_and_pages(api: Any, path: str, order: str, found: str, size: int) -> None:
    runs = api.runs(path, order=order, per_page=size)
    assert "".join(run.name.removeprefix("run ") for run in runs) == found
    assert runs[2].name == f"run {found[2]}"


def test_every_kind_of_history(api: Any, path: str) -> None:
    [run] = api.runs(path, filters={"displayName": "run 4"})
    assert dict(run.summary["loss"]) == {"min": 4}
    assert [row["loss"] for row in run.history(pandas=False)] == [5, 4, 5]
    assert [(row["_step"], row["sparse"]) for row in run.history(keys=["sparse"], pandas=False)] == [(0, 0), (2, 2)]
    assert [row["sparse"] for row in run.scan_history(keys=["sparse", "loss"])] == [0, 2]
    assert [row["_step"] for row in run.scan_history(page_size=1)] == [0, 1, 2]
    assert run.history(stream="system", pandas=False) is not None
    assert run.lastHistoryStep == 2


def test_project_lists_its_runs_and_itself(api: Any, path: str) -> None:
    entity, _, project = path.partition("/")
    assert project in {found.name for found in api.projects(entity)}
    assert api.project(project, entity=entity).name == project
    assert api.run(f"{path}/{api.runs(path)[0].id}").entity == entity


def test_media_and_saved_files(tracker: dict[str, str], api: Any, project: str, workplace: Path) -> None:
    entity, run_id = run_script(tracker, workplace, MEDIA.format(project=project))
    run = api.run(f"{entity}/{project}/{run_id}")
    files = {file.name for file in run.files(per_page=3)}
    assert {"checkpoints/a.pt", "checkpoints/b.pt", "late.txt"} <= files
    with run.file("late.txt").download(root=str(workplace / "down")) as file:
        assert file.read() == "last"
    pictures = sorted(name for name in files if name.startswith("media/images/picture"))
    assert len(pictures) == 2
    first = run.summary["picture"]
    assert (first["_type"], first["width"], first["height"], first["caption"]) == ("image-file", 5, 4, "at 1")
    with run.file(first["path"]).download(root=str(workplace / "down")) as file:
        assert Path(file.name).read_bytes().startswith(b"\x89PNG")
    assert [row["picture"]["caption"] for row in run.scan_history(keys=["picture"])] == ["at 0", "at 1"]
    assert run.summary["histogram"]["_type"] == "histogram"
    assert run.summary["several"]["count"] == 2
    assert any(name.startswith("media/html/page") for name in files)

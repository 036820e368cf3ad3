"""The contract of runs with a past, of alerts and charts, and of the one user."""

import json
from typing import Any

import pytest

from tests.contract.leftovers import name_project
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session
from tests.wandb_server.wandb_clients import run_script

SOURCE = """
import json, wandb
with wandb.init(project={project!r}, config={{"lr": 1}}) as parent:
    for step in range(10):
        parent.log({{"x": step}})
with wandb.init(project={project!r}, fork_from=f"{{parent.id}}?_step=4") as fork:
    for step in range(3):
        fork.log({{"x": 100 + step}})
    fork.alert("too hot", "by 3 degrees", level="WARN")
    table = wandb.Table(columns=["a", "b"], data=[[1, 2], [3, 4]])
    fork.log({{"chart": wandb.plot.line(table, "a", "b", title="a line")}})
with wandb.init(project={project!r}, resume_from=f"{{parent.id}}?_step=5") as again:
    for step in range(2):
        again.log({{"x": 200 + step}})
chart = wandb.Api().create_custom_chart("local", "my-chart", "My chart", "vega2", "private", {{"mark": "line"}})
print(json.dumps([parent.entity, parent.id, fork.id, chart]))
"""


@pytest.fixture(scope="module")
def runs(wandb_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str, str]:
    project = name_project()
    folder = tmp_path_factory.mktemp("pasts")
    entity, parent, fork, chart = run_script(
        wandb_server.environment, folder, SOURCE.format(project=project), timeout=180
    )
    return f"{entity}/{project}", parent, fork, chart


def test_a_fork_begins_with_its_parents_history(api: Any, runs: tuple[str, str, str, str]) -> None:
    fork = api.run(f"{runs[0]}/{runs[2]}")
    rows = [(row["_step"], row["x"]) for row in fork.scan_history(keys=["_step", "x"])]
    assert rows == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 100), (6, 101), (7, 102)]
    assert fork.summary["x"] == 102


def test_a_run_taken_back_goes_on_from_there(api: Any, runs: tuple[str, str, str, str]) -> None:
    parent = api.run(f"{runs[0]}/{runs[1]}")
    rows = [(row["_step"], row["x"]) for row in parent.scan_history(keys=["_step", "x"])]
    assert rows == [*((step, step) for step in range(6)), (6, 200), (7, 201)]
    assert (parent.summary["x"], parent.state) == (201, "finished")


def test_alerts_and_charts_are_kept(wandb_server: ServerProcess, runs: tuple[str, str, str, str]) -> None:
    project = runs[0].partition("/")[2]
    with Session(wandb_server) as session:
        status, body = session.send("GET", f"/local/{project}/runs/{runs[2]}/changes")
        assert status == 200, body
    [alert] = json.loads(body)["run"]["alerts"]
    assert (alert["title"], alert["text"], alert["severity"]) == ("too hot", "by 3 degrees", "WARN")
    assert runs[3]


def test_a_fork_of_nothing_is_refused(wandb_server: ServerProcess) -> None:
    config = json.dumps({"_wandb": {"value": {"branch_point": {"run_id": "nobody", "step": 3}}}})
    ask = 'mutation M($c: JSONString) {upsertBucket(input: {modelName: "p", name: "f", config: $c}) {inserted}}'
    with Session(wandb_server) as session:
        status, answer = session.try_to_ask(ask, c=config)
        assert status == 404
        assert "'nobody' to fork from was not found" in answer["errors"][0]["message"]
        assert session.try_to_ask('{project(name: "p") {run(name: "f") {id}}}')[1]["data"]["project"] is None


def test_prior_runs_of_a_sweep_are_told(wandb_server: ServerProcess) -> None:
    with Session(wandb_server) as session:
        for name in ("one", "two"):
            session.start_run("priors", name)
        sweep = session.make_sweep("priors", "{method: random, parameters: {lr: {min: 0, max: 1}}}")
        ask = (
            "mutation M($id: ID, $f: JSONString) {upsertSweep(input: {id: $id, priorRunsFilters: $f}) "
            "{sweep {priorRuns {edges {node {name}}}}}}"
        )
        found = session.ask(ask, id=sweep, f='{"name": "two"}')["upsertSweep"]["sweep"]["priorRuns"]
    assert [edge["node"]["name"] for edge in found["edges"]] == ["two"]


def test_there_is_one_user_and_no_team(api: Any) -> None:
    user = api.user("local")
    assert (user.username, user.teams, user.api_keys) == ("local", [], [])
    assert [one.username for one in api.users("loc")] == ["local"]
    assert api.user("nobody@else") is None
    [member] = api.team("local").members
    assert member.username == "local"

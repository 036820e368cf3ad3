"""What the contract's tests have left on an embedded server."""

from typing import Any

from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

PROJECTS = """{models(entityName: "local", first: 1000) {edges {node {
    name runCount artifactTypes(first: 100) {edges {node {artifactCollections(first: 100) {edges {node {name}}}}}}
}}}}"""


def check_that_nothing_is_left(server: ServerProcess, projects: int) -> None:
    found = _list_projects(server)
    assert len(found) == projects
    for project in found:
        assert project["name"].startswith("contract-")
        assert project["runCount"] == 0
        kinds = [edge["node"]["artifactCollections"]["edges"] for edge in project["artifactTypes"]["edges"]]
        assert not any(kinds)


def count_runs(server: ServerProcess) -> int:
    return sum(project["runCount"] for project in _list_projects(server))


def _list_projects(server: ServerProcess) -> list[dict[str, Any]]:
    with Session(server) as session:
        return [edge["node"] for edge in session.ask(PROJECTS)["models"]["edges"]]

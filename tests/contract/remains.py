"""What the contract's tests have left on an embedded server."""

from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

PROJECTS = """{models(entityName: "local", first: 1000) {edges {node {
    name runCount artifactTypes(first: 100) {edges {node {artifactCollections(first: 100) {edges {node {name}}}}}}
}}}}"""


def check_that_nothing_is_left(server: ServerProcess, projects: int) -> None:
    with Session(server) as session:
        found = [edge["node"] for edge in session.ask(PROJECTS)["models"]["edges"]]
    assert len(found) == projects
    for project in found:
        assert project["name"].startswith("contract-")
        assert project["runCount"] == 0
        kinds = [edge["node"]["artifactCollections"]["edges"] for edge in project["artifactTypes"]["edges"]]
        assert not any(kinds)

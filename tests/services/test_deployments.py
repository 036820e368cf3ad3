"""Deployments as a real Prefect server keeps them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage.doctor import look_at_deployments
from multistage.errors import MultistageError, UsageError
from multistage.services import PrefectServer
from multistage.services.deployments import (
    FLOW,
    OLDER,
    STEP,
    Deployment,
    Schedule,
    list_deployments,
    remove_deployment,
    save_deployment,
)
from multistage.services.prefect_client import open_prefect_client
from multistage.services.prefect_worker import WORK_POOL
from multistage.services.registration import register_with_prefect
from multistage.settings import Settings

FORM = {"type": "object", "properties": {"config_id": {"type": "string"}}, "required": ["config_id"]}
NIGHTLY = Schedule(cron="0 22 * * *", timezone="Europe/Berlin")


@pytest.fixture
def server(prefect_server: PrefectServer) -> Iterator[PrefectServer]:
    register_with_prefect(prefect_server)
    yield prefect_server
    for one in list_deployments(prefect_server):
        remove_deployment(prefect_server, one.name)


def test_a_deployment_is_made_anew_listed_and_removed(server: PrefectServer, tmp_path: Path) -> None:
    first = Deployment(name="mine", folder=tmp_path, parameters={"config_id": "digits:mlp"}, schedules=(NIGHTLY,))
    save_deployment(server, first, FORM, "A sweep.")
    (found,) = list_deployments(server)
    assert found == first.model_copy(update={"python": sys.executable})
    assert found.find_fault() == ""
    with open_prefect_client(server) as client:
        made = client.read_deployment_by_name(f"{FLOW}/mine")
    assert (made.work_pool_name, made.enforce_parameter_schema) == (WORK_POOL, True)
    assert made.global_concurrency_limit is not None

    again = first.model_copy(update={"schedules": (), "parameters": {}})
    save_deployment(server, again, FORM, "A sweep.")
    (found,) = list_deployments(server)
    assert (found.schedules, found.parameters) == ((), {})

    with pytest.raises(UsageError, match=f"no deployment {FLOW}/other. There are: mine"):
        remove_deployment(server, "other")
    remove_deployment(server, f"{FLOW}/mine")
    assert list_deployments(server) == ()


def test_another_folder_s_deployment_is_not_replaced(server: PrefectServer, tmp_path: Path) -> None:
    mine = Deployment(name="mine", folder=tmp_path, parameters={})
    save_deployment(server, mine, FORM, "")
    theirs = mine.model_copy(update={"folder": tmp_path / "elsewhere"})
    with pytest.raises(MultistageError, match=f"of the folder {tmp_path}") as refused:
        save_deployment(server, theirs, FORM, "")
    assert "--as NAME" in refused.value.hint
    assert [one.folder for one in list_deployments(server)] == [tmp_path]


def test_what_cannot_run_any_more_says_so(server: PrefectServer, tmp_path: Path) -> None:
    with open_prefect_client(server) as client:
        client.create_deployment(
            flow_id=client.create_flow_from_name(FLOW),
            name="before",
            entrypoint="flows.multistage_sweep.multistage_sweep",
            pull_steps=[{STEP: {"directory": str(tmp_path)}}],
            work_pool_name=WORK_POOL,
        )
    save_deployment(server, Deployment(name="gone", folder=tmp_path / "gone", parameters={}), FORM, "")
    removed = Deployment(name="removed", folder=tmp_path, python=str(tmp_path / "python"), parameters={})
    save_deployment(server, removed, FORM, "")
    assert {one.name: one.find_fault() for one in list_deployments(server)} == {
        "before": OLDER,
        "gone": f"its folder {tmp_path / 'gone'} is gone",
        "removed": f"its Python {tmp_path / 'python'} is gone",
    }
    told = {what: remedy for _, what, remedy in look_at_deployments(server, Settings(home=tmp_path))}
    assert told["No worker serves the 3 deployments."] == "`multistage-sweep up --worker`"
    assert f"again in {tmp_path}, or" in told[f"The deployment before: {OLDER}."]

"""Workers that follow a sweep on W&B, for which another embedded server stands in: by names in its sweeps' configs."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.apis.public.sweeps import _set_sweep_state

from multistage.domain.sweep.sweep_config import OWN_SCHEDULER
from multistage.errors import TrackerError, UsageError
from multistage.worker.workplace import find_workplace, parse_address
from tests.queued_sweeps import PROJECT, client_variables, wait_for_state, write_script
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

SCRIPT = 'with wandb.init() as run:\n    run.log({"score": run.config["x"]})\n'
RENAME = "mutation ($id: ID!, $to: String) { upsertSweep(input: {id: $id, displayName: $to}) { sweep { id } } }"
NODE = """query ($entity: String, $project: String, $sweep: String!) {
  project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) { id } } }"""


def make_stage(api: wandb.Api, name: str, program: Path | str = "train.py", configs: tuple[int, ...] = ()) -> str:
    """Create a sweep as a stage's is, with runs of these x queued; gives its id."""
    definition: dict[str, Any] = {
        "name": name,
        "method": "custom",
        "scheduler": {"engine": "custom", "name": OWN_SCHEDULER, "runs": len(configs)},
        "program": str(program),
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"values": [0]}},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # wandb's own, about its own helper
        sweep_id = wandb.sweep(definition, entity=api.default_entity, project=PROJECT)
    sweep = api.sweep(f"{api.default_entity}/{PROJECT}/{sweep_id}")  # type: ignore[no-untyped-call]
    for x in configs:
        sweep.enqueue_run({"x": {"value": x}}, display_name=f"x={x}")
    return str(sweep_id)


def finish(api: wandb.Api, sweep_id: str) -> None:
    _set_sweep_state(api, sweep_id, "FINISHED", entity=str(api.default_entity), project=PROJECT)


@contextmanager
def following(api: wandb.Api, name: str, tracker: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-P", "-m", "multistage.worker.following", f"{api.default_entity}/{PROJECT}/{name}"]
    environment = {**os.environ, **client_variables(tracker)}
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as worker:
        try:
            yield worker
        finally:
            worker.terminate()


@pytest.mark.slow
def test_a_worker_follows_a_sweep_on_wandb_through_its_stages_and_leaves(
    api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    script, log = write_script(workplace / "train.py", SCRIPT), workplace / "log"
    first = make_stage(api, "mine stage 1 (a1)", script, (1, 2))
    with following(api, "mine", tracker, log) as worker:
        for x in (1, 2):
            wait_for_state(f"{api.default_entity}/{PROJECT}/{first}", f"x={x}", "finished", timeout=120)
        finish(api, first)
        last = make_stage(api, "mine stage 3 (a1)", script, (3,))
        wait_for_state(f"{api.default_entity}/{PROJECT}/{last}", "x=3", "finished", timeout=120)
        finish(api, last)
        assert worker.wait(60) == 0, log.read_text()
    assert "The sweep is done: exiting." in log.read_text()


def test_stages_are_found_by_the_names_in_their_configs_those_of_the_latest_sweep_alone(
    api: wandb.Api, wandb_server: ServerProcess
) -> None:
    address = parse_address(f"{api.default_entity}/{PROJECT}/found")
    assert find_workplace(address) is None
    finish(api, make_stage(api, "found stage 3 (old)"))
    done = find_workplace(address)
    assert done is not None
    assert done.is_done
    make_stage(api, "found again stage 1 (b1)")
    first, second = make_stage(api, "found stage 1 (new)"), make_stage(api, "found stage 2 (new)")
    with Session(wandb_server) as session:
        told = session.ask(NODE, entity=api.default_entity, project=PROJECT, sweep=second)
        session.ask(RENAME, id=told["project"]["sweep"]["id"], to="what I like")
    finish(api, first)
    place = find_workplace(address)
    assert place is not None
    assert [stage.sweep_id for stage in place.stages] == [first, second]
    assert (place.sweep, place.is_done) == (f"{api.default_entity}/{PROJECT}/{second}", False)
    single = make_stage(api, "alone (c1)")
    alone = find_workplace(parse_address(f"{api.default_entity}/{PROJECT}/alone"))
    assert alone is not None
    assert alone.sweep == f"{api.default_entity}/{PROJECT}/{single}"


ASK = (
    "from multistage.worker.workplace import find_workplace, parse_address; find_workplace(parse_address('local/p/x'))"
)


@pytest.mark.parametrize(
    ("given", "kind"),
    [({"WANDB_API_KEY": "0" * 40}, UsageError), ({"WANDB_BASE_URL": "http://127.0.0.1:9"}, TrackerError)],
)
def test_a_key_that_is_refused_is_not_tried_again_and_a_server_that_is_away_is(
    given: dict[str, str], kind: type[Exception], tracker: dict[str, str]
) -> None:
    quick = {"WANDB_X_GRAPHQL_RETRY_MAX": "0", "WANDB_HTTP_TIMEOUT": "5"}
    environment = {**os.environ, **client_variables(tracker), **quick, **given}
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False)
    assert f"{kind.__module__}.{kind.__name__}: W&B says nothing about local/p: " in done.stderr, done.stderr

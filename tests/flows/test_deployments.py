"""Prefect's own ways against a real server and worker: deploy, run, schedule, cancel, retry, notice a silent death."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psutil
import pytest
import yaml
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun

from multistage.services.prefect import find_own_prefect_server
from multistage.services.prefect_client import open_prefect_client
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import NOTHING, SWEEP, CommandLine, check_budget, count_used, wait_for
from tests.flows.kill_points import REPOSITORY
from tests.flows.victims import list_trainings, list_workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

PARAMETERS = {"config_id": "digits:mlp", "params": "learning_rate,alpha", "budget": 12, "train_arg": ["epochs=3"]}
LONG = {**PARAMETERS, "train_arg": ["epochs=300"]}
DONE = ("Completed", "Failed", "Crashed", "Cancelled")
SCRIPT = """
from pathlib import Path
import wandb
with wandb.init() as run:
    if Path("broken").exists():
        raise RuntimeError("the data set is not there")
    run.log({"score": run.config["x"]})
"""


class Clone:
    """A checkout of its own with the user's Prefect server and worker.

    Args:
        commands: The user.
        path: The checkout.
    """

    def __init__(self, commands: CommandLine, path: Path) -> None:
        self.commands = commands
        self.path = path
        server = find_own_prefect_server(commands.settings)
        assert server is not None
        self.server = server
        self.environment = {**commands.environment, **commands.read_exports(), "PREFECT_CLI_COLORS": "false"}

    def prefect(self, *arguments: str, code: int = 0) -> str:
        """Run Prefect's own command line in the checkout."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == code, output
        return output

    def run(self, parameters: Mapping[str, object], variables: Mapping[str, str] = NOTHING) -> UUID:
        """Ask for a sweep on demand; ``variables`` are its process's."""
        given = [word for name, value in parameters.items() for word in ("-p", f"{name}={json.dumps(value)}")]
        given += ["--job-variable", f"env={json.dumps(dict(variables))}"] if variables else []
        output = self.prefect("deployment", "run", "multistage-sweep/on-demand", *given)
        return UUID(re.findall(r"UUID: ([0-9a-f-]{36})", output)[0])

    def read(self, run_id: UUID) -> FlowRun:
        """Read a flow run."""
        with open_prefect_client(self.server) as client:
            return client.read_flow_run(run_id)

    def wait(self, run_id: UUID, timeout: float = 240) -> FlowRun:
        """Wait for a flow run's end."""
        wait_for(lambda: self.read(run_id).state_name in DONE, timeout, every=0.5)
        return self.read(run_id)

    def list_stages(self, run_id: UUID) -> list[FlowRun]:
        """List the stages' flow runs."""
        below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_id]))
        with open_prefect_client(self.server) as client:
            return client.read_flow_runs(flow_run_filter=below)

    def read_log(self, run_id: UUID) -> str:
        """Read a flow run's log."""
        with open_prefect_client(self.server) as client:
            logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
        return "\n".join(log.message for log in logs)

    def find_folder(self, run_id: UUID) -> SweepFolder:
        """Return the folder of a sweep on demand."""
        return SweepFolder(self.path / "runs" / f"on-demand-{str(run_id)[:8]}")


@pytest.fixture(scope="module")
def clone(commands: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    path = tmp_path_factory.mktemp("clone")
    for name in ("flows", "tasks", "multistage"):
        shutil.copytree(REPOSITORY / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("prefect.yaml", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        commands.run("up", "--worker")
        made = Clone(commands, path)
        assert made.prefect("deploy", "--all").count("successfully created") == 2
        yield made


@pytest.fixture(autouse=True)
def there(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone.path)


def test_a_deployment_is_run_and_the_command_line_lets_it_grow(clone: Clone) -> None:
    run_id = clone.run(PARAMETERS)
    assert clone.wait(run_id).state_name == "Completed"
    folder = clone.find_folder(run_id)
    check_budget(clone.commands, folder, lost=0)
    clone.commands.run("resume", folder.name, "--budget", "14")
    assert len(check_budget(clone.commands, folder, lost=0)) == 14


def test_parameters_are_checked_before_anything_runs(clone: Clone) -> None:
    refused = ("deployment", "run", "multistage-sweep/on-demand", "-p", "config_id=digits:mlp", "-p", "params=alpha")
    assert "4 is less than the minimum of 10" in clone.prefect(*refused, "-p", "budget=4", code=1)
    assert "nonsense" in clone.prefect(*refused, "-p", "nonsense=4", code=1)


SETTINGS = """
budget = 14
workers = 1
split = "20/60/20"
runs_dir = "sweeps"
ranges.alpha = "1e-5-1e-3"
[configs."digits:mlp"]
params = "learning_rate,alpha"
train_arg = { epochs = 3 }
"""


def test_the_settings_file_counts_where_a_run_says_nothing(clone: Clone) -> None:
    with open_prefect_client(clone.server) as client:
        deployment = client.read_deployment_by_name("multistage-sweep/on-demand")
    assert list(deployment.parameters) == ["name"], "a value that stands in the form beats the file"
    assert deployment.parameter_openapi_schema is not None
    form = deployment.parameter_openapi_schema["properties"]
    assert all(field["description"] for field in form.values())
    assert "Default: 500" in form["budget"]["description"]
    file = clone.path / "multistage.toml"
    file.write_text(SETTINGS)
    try:
        run_id = clone.run({"config_id": "digits:mlp", "workers": 2}, {"MULTISTAGE_SPLIT": "30/50/20"})
        given = clone.run({"config_id": "digits:mlp", "budget": 10, "params": "alpha:1e-4-1e-3"})
        assert clone.wait(run_id).state_name == clone.wait(given).state_name == "Completed"
        file.write_text("bugdet = 14")
        mistaken = clone.run({"config_id": "digits:mlp"})
        assert clone.wait(mistaken).state_name == "Failed"
        assert "Traceback" not in clone.read_log(mistaken), clone.read_log(mistaken)
    finally:
        file.unlink()
    state = SweepFolder(clone.path / "sweeps" / f"on-demand-{str(run_id)[:8]}").load_state()
    assert (state.budget_used, state.options.workers, str(state.settings.split)) == (14, 2, "30/50/20")
    assert state.settings.fixed == {"epochs": 3}
    assert state.settings.space["alpha"].bounds == [1e-5, 1e-3]
    log = clone.read_log(run_id)
    assert re.search("From multistage.toml: budget 14, .*ranges.alpha", log)
    assert "From multistage.toml, digits:mlp: params learning_rate,alpha" in log
    assert ", train_arg epochs=3." in log
    assert "From environment: split 30/50/20." in log
    state = SweepFolder(clone.path / "sweeps" / f"on-demand-{str(given)[:8]}").load_state()
    assert (state.budget_used, state.options.workers, str(state.settings.split)) == (10, 1, "20/60/20")
    assert state.settings.space["alpha"].bounds == [1e-4, 1e-3]
    message = clone.read(mistaken).state
    assert message is not None
    assert "bugdet" in str(message.message)
    assert "budget" in str(message.message)


def test_a_sweep_of_the_command_line_is_resumed_by_a_deployment(clone: Clone) -> None:
    folder = SweepFolder(clone.path / "runs" / "begun-by-hand")
    with clone.commands.start(*SWEEP[:5], "--train-arg", "epochs=40", "--name", folder.name) as driver:
        wait_for(lambda: count_used(folder) >= 1)
        driver.kill()
        driver.wait()
    run_id = clone.run({"config_id": "digits:mlp", "name": folder.name, "resume": True})
    assert clone.wait(run_id).state_name == "Completed"
    check_budget(clone.commands, folder)


def test_a_cancel_ends_everything_within_seconds_and_logs_the_command_that_goes_on(clone: Clone) -> None:
    run_id = clone.run(LONG)
    folder = clone.find_folder(run_id)
    wait_for(lambda: list_trainings(folder), 120)
    processes = list_workers(folder)
    clone.prefect("flow-run", "cancel", str(run_id))
    asked_at = time.monotonic()
    resume = f"multistage-sweep --resume {folder.state_file}"
    wait_for(lambda: resume in clone.read_log(run_id), every=0.2)
    assert time.monotonic() - asked_at < 5
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
    assert time.monotonic() - asked_at < 10
    assert clone.wait(run_id).state_name == "Cancelled"
    wait_for(lambda: folder.find_driver() is None)
    state = folder.load_state()
    assert (state.status, state.workers) == ("stopped", ())
    (stage,) = clone.list_stages(run_id)
    assert stage.state is not None
    assert stage.state.name == "Cancelled"
    assert resume in (stage.state.message or "")
    clone.commands.run("--resume", str(folder.state_file), timeout=300)
    check_budget(clone.commands, folder)


def test_a_failed_sweep_is_retried_and_its_earlier_stages_are_not_repeated(clone: Clone) -> None:
    Path("train.py").write_text(SCRIPT)
    run_id = clone.run(
        {"config_id": "my:script", "program": "train.py", "params": "x:0-1", "metric": "score", "budget": 12}
    )
    folder = clone.find_folder(run_id)
    wait_for(lambda: (state := folder.read_state()) is not None and len(state.stages_completed) == 1, 120)
    Path("broken").touch()
    assert clone.wait(run_id).state_name == "Failed"
    before = folder.load_state()
    Path("broken").unlink()
    clone.prefect("flow-run", "retry", str(run_id))
    wait_for(lambda: clone.read(run_id).state_name not in DONE, 60)
    assert clone.wait(run_id).state_name == "Completed"
    state = folder.load_state()
    assert state.budget_used == state.total_budget == 12
    assert state.stages_completed[0] == before.stages_completed[0]
    assert len([stage for stage in clone.list_stages(run_id) if stage.name.endswith("stage1")]) == 1
    assert len(check_stages(clone, folder)) == 12


def check_stages(clone: Clone, folder: SweepFolder) -> set[str]:
    """Check that no finished run was trained again, and name the slots that finished."""
    finished = [
        str(run.name).partition("-r")[0]
        for runs in clone.commands.list_runs(folder).values()
        for run in runs
        if run.state == "finished"
    ]
    assert len(set(finished)) == len(finished)
    return set(finished)


def test_a_schedule_a_minute_ahead_runs_in_a_folder_of_its_own(clone: Clone) -> None:
    path = clone.path / "prefect.yaml"
    written = yaml.safe_load(path.read_text())
    (overnight,) = [one for one in written["deployments"] if one["name"] == "overnight"]
    assert overnight["schedules"][0]["active"] is False
    soon = datetime.now(UTC) + timedelta(seconds=75)
    overnight["parameters"] |= PARAMETERS
    overnight["schedules"] = [{"cron": f"{soon.minute} {soon.hour} * * *", "timezone": "UTC", "active": True}]
    path.write_text(yaml.safe_dump(written))
    clone.prefect("deploy", "--name", "overnight")
    with open_prefect_client(clone.server) as client:
        deployment = client.read_deployment_by_name("multistage-sweep/overnight")
        assert deployment.global_concurrency_limit is not None
        assert deployment.global_concurrency_limit.limit == 1
    wait_for(lambda: list(Path("runs").glob("overnight-*")), 150)
    (path,) = Path("runs").glob("overnight-*")
    folder = SweepFolder(path)
    wait_for(lambda: (state := folder.read_state()) is not None and state.status == "completed", 150)
    state = folder.load_state()
    assert state.flow_run_id is not None
    assert folder.name == f"overnight-{state.flow_run_id[:8]}"
    run = clone.wait(UUID(state.flow_run_id))
    assert run.expected_start_time is not None
    assert (run.expected_start_time.hour, run.expected_start_time.minute) == (soon.hour, soon.minute)
    assert run.auto_scheduled
    check_budget(clone.commands, folder, lost=0)


def test_a_silently_killed_flow_run_is_marked_as_crashed(clone: Clone) -> None:
    heartbeat = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    clone.commands.run("up", variables=heartbeat)
    folder = SweepFolder(clone.path / "runs" / "silent")
    with clone.commands.start(*SWEEP[:5], "--train-arg", "epochs=300", "--name", "silent", variables=heartbeat) as one:
        wait_for(lambda: (state := folder.read_state()) is not None and state.current_stage is not None)
        one.kill()
        one.wait()
    state = folder.load_state()
    assert state.flow_run_id is not None
    run_id = UUID(state.flow_run_id)
    assert clone.read(run_id).state_name == "Running"
    run = clone.wait(run_id, 240)
    assert run.state_name == "Crashed"
    assert run.state is not None
    assert "was not heard from for 90 s" in (run.state.message or "")
    clone.commands.run("down", "--force")


def test_prefect_yaml_holds_no_absolute_path() -> None:
    assert not re.search(r"[\s\"':]/\w", (REPOSITORY / "prefect.yaml").read_text())

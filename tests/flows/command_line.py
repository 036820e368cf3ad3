"""The real command line in processes of its own, with a home of its own, and what its sweeps left in the tracker."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import psutil
import pytest
import wandb
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun

from multistage.domain.runs.slots import FAULT_KEY, SlotName, classify_run
from multistage.domain.sweep.state import State
from multistage.services import stop_services
from multistage.services.prefect import find_own_prefect_server
from multistage.services.prefect_client import open_prefect_client
from multistage.settings import Settings
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.slot_ledger import SlotLedger

COMMAND = str(Path(sys.executable).parent / "multistage-sweep")
FAST = ("--train-arg", "epochs=3")
BUDGET = 12
SWEEP = ("digits:mlp", "--params", "learning_rate,alpha", "--budget", str(BUDGET), *FAST)
"""The sweep of most tests; `FinishedSweep` is what becomes of it where nothing disturbs it."""
NOTHING: Mapping[str, str] = {}
PLANTED = {
    "WANDB_API_KEY": "planted-wandb-key-a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4",
    "MODAL_TOKEN_ID": "ak-planted-modal-id",
    "MODAL_TOKEN_SECRET": "as-planted-modal-secret",
    "PREFECT_API_KEY": "pnu_planted_prefect_key",
    "PREFECT_API_AUTH_STRING": "planted:prefect-password",
}
"""Secrets of a user's environment, which must be found nowhere."""
Result = TypeVar("Result")


class TrackedRun(NamedTuple):
    """A run as the tracker holds it."""

    run_id: str
    name: SlotName
    state: str
    config: dict[str, Any]
    summary: dict[str, Any]

    @property
    def phase(self) -> str:
        return classify_run(self.state, fault=str(self.summary.get(FAULT_KEY) or ""))


class FinishedSweep(NamedTuple):
    """A sweep that nothing disturbed."""

    place: Path
    folder: SweepFolder
    state: State
    """As it was when the sweep ended: a test may have resumed it since, as another flow run."""
    output: str
    messages: str


class CommandLine:
    """``multistage-sweep`` for a user who has nothing configured.

    Args:
        home: The user's home, and the place of the two services.
    """

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home / "services")
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WANDB_", "PREFECT_", "MULTISTAGE_"))
        }
        self.environment = {
            **inherited,
            "HOME": str(home),
            "MULTISTAGE_HOME": str(self.settings.home),
            "PREFECT_HOME": str(home / "prefect"),
            "COLUMNS": "200",
        }

    def run(
        self, *arguments: str, code: int | None = 0, timeout: float = 150, variables: Mapping[str, str] = NOTHING
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, and check its exit code; None for any."""
        done = subprocess.run(
            [COMMAND, *arguments],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert code in (None, done.returncode), f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    @contextmanager
    def start(self, *arguments: str, variables: Mapping[str, str] = NOTHING) -> Iterator["subprocess.Popen[str]"]:
        """Start a command; it ends with the block."""
        log = Path.cwd() / f"command-{time.monotonic_ns()}.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [COMMAND, *arguments], env={**self.environment, **variables}, stdout=output, stderr=output, text=True
            )
        try:
            yield process
        except BaseException:
            sys.stderr.write(log.read_text(encoding="utf-8"))
            raise
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                process.kill()
                process.wait()

    def read_exports(self) -> dict[str, str]:
        """Read what a shell has after ``eval "$(multistage-sweep env)"``."""
        return dict(re.findall(r"^export (\w+)=(\S+)$", self.run("env").stdout, re.MULTILINE))

    @contextmanager
    def open_prefect(self) -> Iterator[SyncPrefectClient]:
        """Prefect's own client, asking the user's own server."""
        server = find_own_prefect_server(self.settings)
        assert server is not None
        with open_prefect_client(server) as client:
            yield client

    def read_flow_run(self, flow_run_id: str | UUID | None) -> tuple[FlowRun, list[str]]:
        """Read a flow run, and its log as lines that begin with their level."""
        run_id = UUID(str(flow_run_id))
        with self.open_prefect() as client:
            logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
            lines = [f"{logging.getLevelName(log.level)} {log.message}" for log in logs]
            return client.read_flow_run(run_id), lines

    def list_stage_runs(self, flow_run_id: str | UUID | None) -> list[FlowRun]:
        """List the flow runs of a parent's stages, by their names."""
        below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[UUID(str(flow_run_id))]))
        with self.open_prefect() as client:
            return sorted(client.read_flow_runs(flow_run_filter=below), key=lambda run: run.name)

    def list_processes(self) -> list[psutil.Process]:
        """List every living process that this user has started, wherever it descends from."""
        mine = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                found = process.environ().get("MULTISTAGE_HOME") == self.environment["MULTISTAGE_HOME"]
                if found and process.status() != psutil.STATUS_ZOMBIE:
                    mine.append(process)
        return mine

    def end(self) -> list[str]:
        """Stop the services; kill what is left, and say what that was."""
        stop_services(self.settings)
        _, left = psutil.wait_procs(self.list_processes(), timeout=5)
        described = []
        for process in left:
            with suppress(psutil.Error):
                described.append(" ".join(process.cmdline()))
                process.kill()
        return described

    @contextmanager
    def open_tracker(self) -> Iterator[wandb.Api]:
        """W&B's own client, asking the embedded server."""
        folder = self.settings.wandb_server_folder
        url = json.loads((folder / "server.json").read_text())["url"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WANDB_BASE_URL", url)
            patch.setenv("WANDB_API_KEY", (folder / "key").read_text().strip())
            patch.setenv("WANDB_SILENT", "true")
            try:
                yield wandb.Api(overrides={"base_url": url}, timeout=30)
            finally:
                wandb.teardown()

    def list_runs(self, folder: SweepFolder) -> dict[str, list[TrackedRun]]:
        """Ask the tracker for the runs of a sweep's stages, by the stage's sweep; each is a slot's by its id."""
        state = folder.load_state()
        ids = [record.sweep_id for record in state.stages_completed]
        if state.current_stage and state.current_stage.sweep_id and state.current_stage.sweep_id not in ids:
            ids.append(state.current_stage.sweep_id)
        with self.open_tracker() as api:
            return {
                sweep_id: [
                    TrackedRun(run.id, names[run.id], run.state, dict(run.config), dict(run.summary_metrics))
                    for run in api.runs(f"{state.entity}/{state.project}", filters={"sweep": sweep_id}, lazy=False)
                ]
                for sweep_id in ids
                if (names := self._read_names(folder, sweep_id)) is not None
            }

    @staticmethod
    def _read_names(folder: SweepFolder, sweep_id: str) -> dict[str, SlotName]:
        entries = SlotLedger(folder.locate_ledger(sweep_id)).entries
        return {entry.run_id: entry.slot for entry in entries if entry.run_id is not None}


def check_budget(commands: CommandLine, folder: SweepFolder, *, lost: int | None = None) -> list[TrackedRun]:
    """Check from the tracker's own data that a finished sweep used exactly its budget, each slot once.

    Args:
        commands: Whose tracker to ask.
        folder: The sweep.
        lost: Attempts that the machine must have lost; None for any number.

    Returns:
        The runs that count.
    """
    state = folder.load_state()
    assert state.status == "completed"
    assert state.budget_used == state.total_budget == sum(record.runs_completed for record in state.stages_completed)
    assert [record.stage for record in state.stages_completed] == [1, 2, 3]
    runs_by_sweep = commands.list_runs(folder)
    counted: list[TrackedRun] = []
    attempts_lost = 0
    for plan, record in zip(state.plan, state.stages_completed, strict=True):
        runs = runs_by_sweep[record.sweep_id]
        assert {run.name.stage for run in runs} == {plan.stage}
        assert max(Counter(str(run.name) for run in runs).values()) == 1, "a slot was doubled"
        settled = [run for run in runs if run.phase in ("finished", "failed")]
        assert sorted(run.name.index for run in settled) == list(range(plan.runs)), "a slot is missing or settled twice"
        assert {run.phase for run in runs} <= {"finished", "failed", "lost"}
        assert record.attempts_lost == len(runs) - len(settled)
        attempts_lost += record.attempts_lost
        counted += settled
    assert len(counted) == state.total_budget
    assert lost in (None, attempts_lost)
    return counted


def wait_for(look: Callable[[], Result], timeout: float = 90, every: float = 0.05) -> Result:
    """Look again and again until what is seen is true."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, f"Never came true; last seen: {seen!r}"
        time.sleep(every)
    return seen


def count_used(folder: SweepFolder) -> int:
    """Count the used slots by ``state.json``; 0 before there is one."""
    state = folder.read_state()
    return state.budget_used if state else 0

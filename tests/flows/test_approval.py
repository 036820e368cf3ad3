"""A person between two stages: by the form that the UI shows, by the command line, or by nobody in time."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.flow_runs import resume_flow_run

from multistage.domain.sweep.state import PendingApproval, State
from multistage.services.prefect import find_prefect_server
from multistage.services.prefect_client import open_prefect_client, use_prefect_server
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import FAST, CommandLine, check_budget, wait_for

SWEEP = ("digits:mlp", "--params", "learning_rate,alpha", "--budget", "12", "--workers", "2", "--approve", *FAST)


def read_pending(folder: SweepFolder, stage: int) -> PendingApproval | None:
    state = folder.read_state()
    pending = state.pending_approval if state else None
    return pending if pending and pending.stage == stage else None


class Form:
    """The form of a paused flow run, as the UI reads and sends it."""

    def __init__(self, commands: CommandLine, state: State) -> None:
        server = find_prefect_server(commands.settings)
        assert server is not None
        assert state.flow_run_id is not None
        self._server = server
        self._run = UUID(state.flow_run_id)

    def read(self) -> FlowRun:
        with open_prefect_client(self._server) as client:
            return client.read_flow_run(self._run)

    def wait(self, attempt: int) -> tuple[dict[str, Any], str]:
        """Return the schema and the description of the form that is shown for the so-manieth time."""

        def look() -> tuple[dict[str, Any], str] | None:
            run = self.read()
            keyset = run.state.state_details.run_input_keyset if run.state else None
            if run.state is None or not run.state.is_paused() or not keyset:
                return None
            if not (run.state.state_details.pause_key or "").endswith(f"-{attempt}"):
                return None
            with open_prefect_client(self._server) as client:
                schema = client.read_flow_run_input(self._run, keyset["schema"])
                description = client.read_flow_run_input(self._run, keyset["description"])
            return json.loads(schema), json.loads(description)

        found = wait_for(look)
        assert found is not None
        return found

    def send(self, **answer: object) -> None:
        with use_prefect_server(self._server):
            resume_flow_run(self._run, run_input=answer)


@pytest.mark.slow
def test_a_person_changes_ranges_and_they_are_searched(commands: CommandLine, workplace: Path) -> None:
    folder = SweepFolder(workplace / "runs" / "approved")
    with commands.start(*SWEEP, "--name", "approved") as process:
        pending = wait_for(lambda: read_pending(folder, 2), timeout=150)
        assert pending is not None
        state = folder.load_state()
        assert state.flow_run_id is not None
        assert state.flow_run_id in pending.url
        form = Form(commands, state)
        schema, description = form.wait(1)
        assert schema["properties"]["learning_rate_range"]["title"] == "learning_rate"
        assert schema["properties"]["learning_rate_range"]["default"] == pending.proposed["learning_rate"]
        assert "Stage 1 is done: 4 runs" in description
        form.send(learning_rate_range="5-6")
        _, description = form.wait(2)
        assert "learning_rate would have 5" in description
        form.send(learning_rate_range="0.001-0.01")
        wait_for(lambda: read_pending(folder, 3), timeout=150)
        refused = commands.run("approve", "approved", "--ranges", "nope:1-2", code=2)
        assert "nope is not swept" in refused.stderr
        told = commands.run("approve", "approved")
        assert "continue with stage 3" in told.stdout
        assert process.wait(120) == 0
    counted = check_budget(commands, folder)
    state = folder.load_state()
    assert state.pending_approval is None
    first, second, _ = state.stages_completed
    assert first.approval is not None
    assert second.approval is not None
    assert (first.approval.by, first.approval.edited) == ("person", ("learning_rate",))
    assert (second.approval.by, second.approval.edited) == ("person", ())
    assert second.bounds["learning_rate"] == [0.001, 0.01]
    tried = [run.config["learning_rate"] for run in counted if run.name.stage == 2]
    assert all(0.001 <= value <= 0.01 for value in tried)
    output = next(workplace.glob("command-*.log")).read_text()
    assert "Stage 2 waits for you: press Resume at http" in output


@pytest.mark.slow
def test_nobody_in_time_stops_the_sweep_or_lets_it_go_on_as_told(commands: CommandLine, workplace: Path) -> None:
    folder = SweepFolder(workplace / "runs" / "alone")
    alone = (*SWEEP, "--name", "alone", "--approve-timeout", "1")
    stopped = commands.run(*alone, "--on-timeout", "stop", code=1)
    assert "Nobody approved the ranges of stage 2 in time" in stopped.stderr
    assert "--resume" in stopped.stderr
    state = folder.load_state()
    assert (state.status, len(state.stages_completed), state.workers) == ("stopped", 1, ())
    commands.run("--resume", "alone", "--on-timeout", "continue")
    check_budget(commands, folder)
    approvals = [record.approval for record in folder.load_state().stages_completed]
    assert [approval.by if approval else None for approval in approvals] == ["timeout", "timeout", None]

"""What is trained outside a sweep's budget in containers: a canary, the best config again, other searches."""

import json
import signal

import pytest

from multistage.domain.runs.comparison import Comparison
from multistage.report.costs import format_dollars
from tests.launchers.modal.modal_sweeps import ModalSweeps, wait_until

SWEEP = ("digits:mlp", "--params", "learning_rate,alpha", "--launcher", "modal", "--workers", "2", "--budget", "10")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def count_working(sweeps: ModalSweeps) -> int:
    """Count the containers that have a call; one whose call was cancelled before it began leaves later."""
    return sum(one.call is not None for one in sweeps.modal.list_containers())


def check_that_all_left(sweeps: ModalSweeps) -> None:
    assert count_working(sweeps) == 0
    assert all(call.output is not None for call in sweeps.modal.list_calls())


def interrupt(sweeps: ModalSweeps, how: signal.Signals, containers: int, *command: str) -> None:
    """Interrupt a command once so many containers work, and check that none outlives it."""
    process = sweeps.start(*command)
    try:
        wait_until(lambda: count_working(sweeps) == containers)
        process.send_signal(how)
        assert process.wait(30) == 130
    finally:
        if process.poll() is None:
            sweeps.kill(process)
    check_that_all_left(sweeps)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_canary_leaves_no_container(sweeps: ModalSweeps, how: signal.Signals) -> None:
    interrupt(sweeps, how, 1, "plan", *SWEEP, "--train-arg", "epochs=3000", "--canary")


def test_what_is_trained_beside_a_sweep_is_paid_for_beside_it(sweeps: ModalSweeps) -> None:
    fast = (*SWEEP, "--train-arg", "epochs=5")
    before = len(sweeps.modal.list_calls())
    planned = sweeps.call("plan", *fast, "--canary")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "Canary: val/accuracy 0." in planned.stdout
    assert ", for $0.00" in planned.stdout
    assert "as the canary did" in planned.stdout
    assert len(sweeps.modal.list_calls()) == before + 1
    check_that_all_left(sweeps)

    done = sweeps.call(*fast, "--name", "beside")
    assert done.returncode == 0, done.stdout + done.stderr
    swept = sweeps.read("beside").cost
    assert swept is not None
    assert swept.beside == 0
    again = ("train", "beside", "--seed", "5", "--runs", "2", "--json")
    trained = sweeps.call(*again)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    result = json.loads(trained.stdout)
    assert len([run for run in result["runs"] if run["phase"] == "finished"]) == 2
    check_that_all_left(sweeps)
    cost = sweeps.read("beside").cost
    assert cost is not None
    assert cost.beside == pytest.approx(result["dollars"])
    assert cost.dollars == pytest.approx(swept.dollars + cost.beside)
    assert cost.dollars_a_run == pytest.approx(swept.dollars_a_run)
    calls = len(sweeps.modal.list_calls())
    assert json.loads(sweeps.call(*again).stdout) == result
    assert len(sweeps.modal.list_calls()) == calls, "what is done is found, not trained again"

    interrupt(sweeps, signal.SIGTERM, 2, "compare", "beside", "--seeds", "2")
    interrupted = sweeps.read("beside").cost
    assert interrupted is not None
    assert interrupted.beside > cost.beside, "what was interrupted is paid for"
    compared = sweeps.call("compare", "beside", "--seeds", "2", "--json")
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert "was lost" not in compared.stderr
    comparison = Comparison.model_validate_json(compared.stdout)
    assert [one.runs for one in comparison.results] == [10, 10, 10]
    assert all(None not in one.values for one in comparison.results)
    check_that_all_left(sweeps)
    state = sweeps.read("beside")
    assert state.cost is not None
    assert comparison.dollars is not None
    assert state.cost.beside == pytest.approx(result["dollars"] + comparison.dollars)
    assert (state.budget_used, state.status) == (10, "completed")
    assert state.cost.dollars_a_run == pytest.approx(swept.dollars_a_run)
    told = sweeps.call("status", "beside").stdout
    assert f"outside the budget: {format_dollars(state.cost.beside)}" in told


def test_without_a_token_or_a_server_that_containers_reach_nothing_is_trained(
    sweeps: ModalSweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = (*SWEEP, "--train-arg", "epochs=5")
    before = len(sweeps.modal.list_calls())
    for lacking, reason in (
        (("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET"), "Modal has no token on this machine."),
        (("WANDB_API_KEY", "WANDB_BASE_URL"), "Containers on Modal cannot reach the embedded W&B server"),
    ):
        with monkeypatch.context() as patch:
            for name in lacking:
                patch.delitem(sweeps.environment, name)
            refused = sweeps.call("plan", *fast, "--canary")
        assert refused.returncode == 2
        assert reason in refused.stderr
    assert len(sweeps.modal.list_calls()) == before

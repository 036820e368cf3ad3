"""Whose fault a worker's end is, and what is refused before anything is deployed."""

from pathlib import Path
from typing import Any

import modal.exception as refusals
import pytest

from multistage.domain.sweep.account import EMBEDDED, Account
from multistage.domain.sweep.plan import RunOptions, SweepPlan
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import UsageError
from multistage.launchers.modal.app import describe_content
from multistage.launchers.modal.faults import judge_error, judge_result
from multistage.launchers.modal.prices import Rates
from multistage.options.modal import Resources
from multistage.request.asked_sweep import read_parameters
from multistage.request.feasibility import check_launching
from multistage.request.resolution import resolve_request


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, "none"),
        ({"failures": {"a": "NaN"}}, "config"),
        ({"exit_code": None, "runs": 0}, "machine"),
        ({"exit_code": -9}, "machine"),
        ({"exit_code": 1, "runs": 0, "tail": ["ModuleNotFoundError: No module named 'torch'"]}, "setup"),
        ({"exit_code": 1, "runs": 0, "tail": ["HTTP 401 Unauthorized"]}, "setup"),
        ({"exit_code": 1, "runs": 0, "tail": ["The server cannot be reached"]}, "machine"),
    ],
)
def test_result_is_judged(changes: dict[str, Any], fault: str) -> None:
    result = {"exit_code": 0, "runs": 3, "tail": ["bye"], "failures": {}, "starts": 1, "seconds": 9.0}
    assert judge_result(result | changes).fault == fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (refusals.FunctionTimeoutError("late"), "machine"),
        (refusals.OutputExpiredError(), "machine"),
        (refusals.RemoteError("cancelled"), "machine"),
        (refusals.InternalFailure("lost"), "machine"),
        (ModuleNotFoundError("No module named 'x'"), "setup"),
        (refusals.AuthError("token"), "setup"),
        (refusals.ConnectionError("away"), None),
        (refusals.ServiceError("away"), None),
    ],
)
def test_error_is_judged(error: Exception, fault: str | None) -> None:
    end = judge_error(error, 5.0)
    assert (end.fault if end else None) == fault


def plan_for(tmp_path: Path, **changes: Any) -> tuple[SweepPlan, RunOptions]:
    request = SweepRequest(config_id="digits:mlp", params="learning_rate", budget=20)
    options = RunOptions.model_validate({"workers": 2, "directory": tmp_path, "launcher": "modal", **changes})
    return resolve_request(request, tmp_path).plan, options


W_AND_B = Account(kind="wandb", base_url="https://api.wandb.ai", entity="me", can_enqueue=True, reason="")
HERE = W_AND_B.model_copy(update={"base_url": "http://127.0.0.1:1"})


@pytest.mark.parametrize(
    ("account", "changes", "words"),
    [
        (EMBEDDED, {}, "embedded"),
        (HERE, {}, "127.0.0.1"),
        (W_AND_B, {"workers": 50}, "more than"),
        (W_AND_B, {"project_dir": Path("/no/such/folder")}, "does not exist"),
        (W_AND_B, {"max_cost": 0.001}, "--max-cost"),
    ],
)
def test_impossible_wish_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: Account, changes: dict[str, Any], words: str
) -> None:
    monkeypatch.delenv("MODAL_SERVER_URL", raising=False)
    monkeypatch.setenv("MODAL_TOKEN_ID", "ak-x")
    monkeypatch.setenv("MODAL_TOKEN_SECRET", "as-x")
    monkeypatch.setattr("multistage.launchers.modal.prices.fetch_rates", Rates)
    plan, options = plan_for(tmp_path, **changes)
    with pytest.raises(UsageError, match=words):
        check_launching(plan, options, account)


def test_missing_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modal.config.config.get", lambda _: None)
    plan, options = plan_for(tmp_path)
    with pytest.raises(UsageError, match="modal token new"):
        check_launching(plan, options, W_AND_B)


@pytest.mark.parametrize("modal", [{"gpu": "RTX9"}, {"timeout": 0}, {"timeout": 90_000}])
def test_impossible_resources_are_refused(tmp_path: Path, modal: dict[str, Any]) -> None:
    parameters = {"config_id": "digits:mlp", "params": "learning_rate", "launcher": "modal", "modal": modal}
    with pytest.raises(UsageError, match=rf"modal\.{next(iter(modal))} cannot be"):
        read_parameters(parameters, tmp_path)


def test_price_adds_what_a_container_has() -> None:
    rates = Rates(core=1.0, gib=0.1)
    assert rates.price(Resources(cpu=2, memory=4, gpu="H100:2")) == pytest.approx(2 + 0.4 + 2 * 0.001097)


def test_app_is_named_by_its_code(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("one")
    first = describe_content((), tmp_path).name_app()
    assert describe_content((), tmp_path).name_app() == first
    (tmp_path / "train.py").write_text("two")
    assert describe_content((), tmp_path).name_app() != first
    assert any(pin.startswith("scikit-learn==") for pin in describe_content(("digits",)).requirements)

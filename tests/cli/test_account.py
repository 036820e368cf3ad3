"""An account on a server that takes no runs from a client: who proposes, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from multistage.cli import main
from tests.server_process import ServerProcess
from tests.wandb_client.counting_proxy import CountingProxy

SWEEP = ("digits:mlp", "--params", "alpha,learning_rate", "--budget", "100")


@pytest.fixture(autouse=True)
def poor_server(wandb_server: ServerProcess, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The account's server, without the feature with which a client enqueues runs."""
    for name in ("WANDB_ENTITY", "WANDB_PROJECT", "WANDB_SILENT", "WANDB_CONSOLE", "WANDB_ERROR_REPORTING"):
        monkeypatch.setenv(name, "")
    with CountingProxy(wandb_server.port) as proxy:
        proxy.change = lambda body: body.replace(b"SWEEPS_LOCAL_SCHEDULER", b"SWEEPS_OTHER_SCHEDULER")
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        monkeypatch.setenv("WANDB_API_KEY", wandb_server.key)
        yield proxy.url
        wandb.teardown()


@pytest.mark.parametrize("command", ["run", "plan"])
def test_the_gaussian_process_is_refused_where_it_was_asked_for_by_name(
    command: str, poor_server: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main((command, *SWEEP, "--search", "gp"))
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{poor_server} takes no runs enqueued by a client" in captured.err
    assert "--search wandb" in captured.err
    assert not list(workplace.iterdir())


def test_wandbs_own_engine_proposes_otherwise(poor_server: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(("plan", *SWEEP))
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Tracker: W&B at {poor_server} as local, since WANDB_API_KEY is set.")
    assert "bayes" in shown
    assert "gaussian process" not in shown


@pytest.mark.parametrize(
    ("key", "reason"),
    [("short", "WANDB_API_KEY invalid: API key must have 40+ characters, has 5"), ("x" * 40, "missing or wrong")],
)
def test_a_key_that_is_refused_is_misuse(
    key: str, reason: str, poor_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    with pytest.raises(SystemExit) as ended:
        main(("plan", *SWEEP))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"multistage-sweep: W&B at {poor_server} cannot be used: ")
    assert reason in said
    assert ".. " not in said
    assert said.endswith(
        " Run `wandb login --relogin`, or look at WANDB_BASE_URL; --tracker embedded needs no account.\n"
    )


def test_a_server_that_is_away_is_no_misuse(
    poor_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> NoReturn:
        raise wandb.errors.AuthenticationError("No answer.") from WandbApiFailedError("No answer.")

    monkeypatch.setattr(wandb, "Api", fail)
    with pytest.raises(SystemExit) as ended:
        main(("plan", *SWEEP))
    assert ended.value.code == 1
    assert f"W&B at {poor_server} cannot be used: No answer. Run" in capsys.readouterr().err

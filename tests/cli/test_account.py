"""An account on a server that takes no runs from a client: who proposes, and what is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

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

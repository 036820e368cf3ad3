"""`make contract`, against accounts on servers of this machine: W&B and Modal themselves are not reached from here."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage.launchers.conformance import CHECKS
from multistage.launchers.modal.prices import GRACE, Rates
from multistage.options.modal import Resources
from tests.contract.__main__ import main
from tests.contract.accounts import KEY, MODAL, URL
from tests.contract.modal_apps import AT_MOST, TIMEOUT
from tests.contract.remains import check_that_nothing_is_left, count_runs
from tests.queued_sweeps import wait_until
from tests.server_process import ServerProcess
from tests.stand_ins.modal_server import ModalServer
from tests.wandb_client.counting_proxy import CountingProxy
from tests.wandb_server.wandb_clients import end_session

ROOT = Path(__file__).parents[2]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[ServerProcess]:
    """The server of an account."""
    with ServerProcess(tmp_path) as server:
        yield server


def contract(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Call it with no account but those of these variables."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CONTRACT_", "MODAL_"))}
    return subprocess.run(
        [sys.executable, "-m", "tests.contract", *arguments],
        cwd=ROOT,
        env={**own, **variables},
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({URL: "http://127.0.0.1:1"}, "No account is named: CONTRACT_API_KEY is not set."),
        ({MODAL: "1"}, "CONTRACT_API_KEY is not set."),
        (
            {URL: "http://127.0.0.1:1", KEY: "k" * 40, MODAL: "1"},
            "Modal's containers cannot reach http://127.0.0.1:1.",
        ),
    ],
)
def test_it_says_what_is_missing(
    variables: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODAL_TOKEN_ID", "ak-planted")
    monkeypatch.setenv("MODAL_TOKEN_SECRET", "as-planted")
    assert main([], variables) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "No account is named: CONTRACT_API_KEY is not set. See docs/contract.md."),
        ({KEY: "k" * 40, MODAL: "1"}, "Modal has no token on this machine. Make one with `modal token new`."),
    ],
)
def test_a_user_without_accounts_is_told_so(variables: dict[str, str], sentence: str, tmp_path: Path) -> None:
    done = contract(**variables, MODAL_CONFIG_PATH=str(tmp_path / "none.toml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"{sentence}\n")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_differs_is_a_row_and_no_key_is_printed(account: ServerProcess) -> None:
    """The server shows a run's notes otherwise: the key in their place, as a careless one might."""
    with CountingProxy(account.port) as proxy:
        proxy.change = lambda body: body.replace(b'"a note"', f'"{account.key}"'.encode())
        chosen = ("-k", "test_contract_runs and (description or config_without)")
        done = contract(*chosen, CONTRACT_BASE_URL=proxy.url, CONTRACT_API_KEY=account.key)
    assert done.returncode == 1, done.stderr
    head, _, row, _, counted = done.stdout.splitlines()
    assert head == "| test | there | here | first line of the failure |"
    named, *cells = row.strip("| ").split(" | ")
    assert named == "test_contract_runs::test_state_and_description"
    assert cells == ["failed", "passed", "AssertionError: assert '***...***' == 'a note'"]
    assert counted == "Alike: 1. Different: 1."
    assert "assert '***...***' == 'a note'" in done.stderr
    pieces = (account.key[at : at + 6] for at in range(len(account.key) - 5))
    assert not any(piece in done.stdout + done.stderr for piece in pieces)
    check_that_nothing_is_left(account, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_interrupted_one_deletes_what_it_made(account: ServerProcess) -> None:
    command = [sys.executable, "-m", "tests.contract", "-k", "test_cancelled_sweep_kills_its_run"]
    named = {URL: account.url, KEY: account.key}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **named},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    try:
        wait_until(lambda: count_runs(account) == 1, "a run", 200)
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
    finally:
        end_session(process)
    assert process.returncode == 130, printed
    check_that_nothing_is_left(account, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_modal_is_checked_where_it_is_named(account: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    secrets = {"wandb-secret": {"WANDB_API_KEY": account.key}}
    with ModalServer(tmp_path_factory.mktemp("m"), secrets) as modal:
        named = {"CONTRACT_BASE_URL": account.url, "CONTRACT_API_KEY": account.key, "CONTRACT_MODAL": "1"}
        done = contract("-k", "containers and check_launch", **named, **modal.environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "Alike: 1. Different: 0.\n"
        assert not any(secret in done.stderr for secret in (account.key, "ak-stand-in", "as-stand-in"))
        assert len(modal.list_calls()) == AT_MOST
        [app] = modal.plane.apps.values()
        assert app.name.startswith("contract-")
        assert app.stopped
        assert modal.list_containers() == []
        assert modal.plane.list_notes() == []
    check_that_nothing_is_left(account, 1)


def test_it_costs_less_than_a_dollar_even_where_no_container_is_ended() -> None:
    most = len(CHECKS) * AT_MOST * (TIMEOUT + GRACE) * Rates().price(Resources(timeout=TIMEOUT))
    assert most < 0.5

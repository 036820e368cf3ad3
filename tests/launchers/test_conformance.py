"""Every launcher keeps what is promised of it: those of this package, and one that another package brings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from multistage.errors import UsageError
from multistage.launchers.conformance import CHECKS, Check, check_away_and_back
from multistage.launchers.registry import find_kind, list_launchers
from tests.contract.accounts import names_modal
from tests.contract.modal_apps import own_app
from tests.launchers.benches import LauncherBench, ModalBench, SlurmBench, SshBench
from tests.launchers.distributions import install
from tests.launchers.modal.modal_client import using
from tests.queued_sweeps import client_variables, wait_until
from tests.slurm_cluster import SlurmCluster, needs_slurm
from tests.ssh_hosts import SshHosts, needs_ssh
from tests.stand_ins.modal_server import ModalServer

checks = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


@pytest.fixture
def modal(tmp_path: Path, tracker: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModalServer | None]:
    """The stand-in, or None for Modal itself, with an app of the test's own; nothing of it is left."""
    if names_modal(os.environ):
        with using(None, monkeypatch), own_app(monkeypatch):
            yield None
        return
    secrets = {"wandb-secret": {"WANDB_API_KEY": tracker["WANDB_API_KEY"]}}
    (tmp_path / "m").mkdir()
    with ModalServer(tmp_path / "m", secrets) as server, using(server, monkeypatch):
        with own_app(monkeypatch):
            yield server
        assert all(app.stopped for app in server.plane.apps.values())
        assert server.plane.list_notes() == []


@checks
def test_workers_on_this_machine_conform(
    check: Check, api: wandb.Api, tracker: dict[str, str], workplace: Path
) -> None:
    check(LauncherBench("local", workplace / "logs", client_variables(tracker), api))


# Nothing can keep Modal itself from answering; its first image takes minutes.
@pytest.mark.timeout(1200 if names_modal(os.environ) else 300)
@pytest.mark.parametrize(
    "check",
    [pytest.param(check, marks=pytest.mark.contract) for check in CHECKS if check is not check_away_and_back]
    + [check_away_and_back],
    ids=lambda check: check.__name__,
)
def test_containers_conform(
    check: Check, api: wandb.Api, tracker: dict[str, str], workplace: Path, modal: ModalServer | None
) -> None:
    check(ModalBench(modal, workplace / "logs", client_variables(tracker), api))


@pytest.mark.slow
@needs_slurm
@checks
def test_jobs_on_slurm_conform(
    check: Check, api: wandb.Api, tracker: dict[str, str], workplace: Path, slurm: SlurmCluster
) -> None:
    check(SlurmBench(slurm, workplace / "logs", client_variables(tracker), api))
    assert slurm.list_jobs() == []


@pytest.mark.slow
@needs_ssh
@checks
def test_workers_on_hosts_that_ssh_reaches_conform(
    check: Check, api: wandb.Api, tracker: dict[str, str], workplace: Path, ssh_hosts: SshHosts
) -> None:
    check(SshBench(ssh_hosts, workplace / "logs", client_variables(tracker), api))
    wait_until(lambda: not ssh_hosts.list_clients(), "the ways back to end")


@checks
def test_a_launcher_of_another_package_conforms(
    check: Check, api: wandb.Api, tracker: dict[str, str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("spare = spare_launcher:SpareKind", workplace / "site", monkeypatch)
    assert list_launchers() == ("local", "modal", "external", "slurm", "ssh", "spare")
    check(LauncherBench("spare", workplace / "logs", client_variables(tracker), api))


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("broken = nowhere_to_be_found:Kind", "cannot be loaded: ModuleNotFoundError"),
        ("broken = spare_launcher:SpareKind", "is not a LauncherKind of that name"),
        ("broken = spare_launcher:Path", "is not a LauncherKind of that name"),
    ],
)
def test_a_launcher_that_cannot_be_loaded_is_named_and_leaves_the_others(
    point: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(point, tmp_path, monkeypatch)
    with pytest.raises(UsageError, match=words):
        find_kind("broken")
    assert find_kind("local").name == "local"
    with pytest.raises(UsageError, match="no launcher 'cray'") as refused:
        find_kind("cray")
    assert "local, modal, external, slurm, ssh, broken" in refused.value.hint

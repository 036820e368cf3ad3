"""Fixtures that several rooms share."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import wandb

from multistage.services import PrefectServer, ensure_prefect_server, stop_services
from multistage.settings import Settings
from tests.browser import browser, chromium
from tests.contract.accounts import find_server
from tests.contract.leftovers import empty_projects
from tests.server_process import ServerProcess, make_environment
from tests.slurm_cluster import SlurmCluster, can_hide
from tests.ssh_hosts import SshHosts

__all__ = ["browser", "chromium"]

hypothesis.settings.register_profile("patient", deadline=None)  # other tests keep the machine busy
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    # A suite in the background of a script ignores Ctrl+C, and so would every process that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line(
        "markers",
        "contract: also runs against W&B and Modal themselves, as docs/contract.md says (make contract)",
    )


@pytest.fixture(scope="session")
def wandb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The embedded W&B server, in a process of its own; its ``environment`` is what a client needs."""
    with ServerProcess(tmp_path_factory.mktemp("wandb_server")) as server:
        yield server


@pytest.fixture(scope="session")
def tracker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client: of the embedded server, or of the one that the contract is checked against.

    What the tests made on that one is deleted at the end.
    """
    named = find_server(os.environ)
    if named is None:
        server: ServerProcess = request.getfixturevalue("wandb_server")
        yield server.environment
        return
    environment = make_environment(tmp_path_factory.mktemp("contract"), named.url, named.key)
    yield environment
    empty_projects(environment)


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A real Slurm of four nodes, and one more that does not see the folder `SlurmCluster.hidden`."""
    folder = tmp_path_factory.mktemp("slurm")
    hidden = tmp_path_factory.mktemp("hidden") if can_hide() else None
    # munged wants folders that others may pass through, and pytest's own are private.
    with tempfile.TemporaryDirectory(prefix="slurm-") as place, SlurmCluster(Path(place), hidden) as cluster:
        Path(place).chmod(0o755)
        yield cluster
        shutil.copytree(Path(place, "log"), folder / "log")


@pytest.fixture
def slurm(slurm_cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """That Slurm with idle nodes, as this process's own."""
    slurm_cluster.reset()
    for name, value in slurm_cluster.environment.items():
        monkeypatch.setenv(name, value)
    return slurm_cluster


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    """A real sshd with two names."""
    with SshHosts(tmp_path_factory.mktemp("ssh")) as hosts:
        yield hosts


@pytest.fixture
def ssh_hosts(ssh_server: SshHosts, monkeypatch: pytest.MonkeyPatch) -> SshHosts:
    """Those hosts, as this process's own ssh finds them."""
    monkeypatch.setenv("PATH", ssh_server.path)
    return ssh_server


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def api(tracker: dict[str, str]) -> Iterator[wandb.Api]:
    """W&B's own client in this process; a test module that uses it holds the client's environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tracker.items():
            if name.startswith("WANDB_"):
                patch.setenv(name, value)
        yield wandb.Api(timeout=30)
        wandb.teardown()


@pytest.fixture(scope="session")
def services_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose services end with the session, however it ends."""
    settings = Settings(home=tmp_path_factory.mktemp("services"))
    yield settings
    stop_services(settings)


@pytest.fixture(scope="session")
def prefect_server(services_home: Settings) -> PrefectServer:
    """A Prefect server of the session's own, whatever Prefect server the environment names."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("PREFECT_"):
                patch.delenv(name)
        patch.setenv("PREFECT_HOME", str(services_home.home / "client"))
        patch.chdir(services_home.home)
        return ensure_prefect_server(services_home)

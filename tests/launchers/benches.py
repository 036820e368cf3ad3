"""What launchers are looked at with: the bundled digits trainer on the embedded server."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import wandb

from multistage.domain.sweep.plan import RunOptions
from multistage.launchers.base import Assignment, Launcher
from multistage.launchers.registry import find_kind
from multistage.options.modal import Resources
from multistage.training.catalogue import TRAINERS
from tests.contract.leftovers import name_project
from tests.contract.modal_apps import TIMEOUT
from tests.queued_sweeps import PROJECT, list_all_runs, queue_runs
from tests.slurm_cluster import SlurmCluster
from tests.ssh_hosts import SshHosts
from tests.stand_ins.modal_server import ModalServer
from tests.states import make_settings

LONG = 100_000
"""Epochs that no test waits for."""
BEGIN_AFTER = 3.0
"""Seconds from a call to its container's start."""
QUICKLY = 2.0
"""Seconds without work after which a worker leaves that has only a failing run to train."""


class LauncherBench:
    """Two runs that last, and one that fails.

    Args:
        name: The launcher's.
        logs: Folder of the logs.
        server: Variables of the W&B server.
        api: Its client.
    """

    hosts: str | None = None
    """Those of ssh."""
    project = PROJECT
    """Of the sweeps."""

    def __init__(self, name: str, logs: Path, server: Mapping[str, str], api: wandb.Api) -> None:
        self.name = name
        self.logs = logs
        self.sweep = queue_runs(api, "digits:mlp", [{"epochs": LONG}] * 2, project=self.project)
        self._server = server
        self._api = api
        self._idle = 600.0

    def open(self) -> Launcher:
        trainer = TRAINERS["digits:mlp"]
        settings = make_settings(config_id=trainer.config_id, command=tuple(trainer.command))
        options = RunOptions(
            workers=2,
            directory=self.logs.parent,
            launcher=self.name,
            worker_idle=self._idle,
            hosts=self.hosts,
            modal=Resources(timeout=TIMEOUT),
        )
        return find_kind(self.name).open(Assignment(settings, options, self.logs, self._server))

    def fail(self) -> tuple[str, str]:
        self._idle = QUICKLY
        return queue_runs(self._api, "digits:mlp", [{"epochs": -1}], project=self.project), "epochs"

    def find_failed(self, sweep: str) -> str | None:
        return next((str(run.id) for run in list_all_runs(sweep) if run.state == "failed"), None)

    def cut_off(self) -> AbstractContextManager[None] | None:
        return None


class ModalBench(LauncherBench):
    """The same on Modal, or on the stand-in, whose containers begin a while after they are asked for.

    Args:
        modal: The stand-in; None for Modal itself.
        logs: Folder of the logs.
        server: Variables of the W&B server.
        api: Its client.
    """

    def __init__(self, modal: ModalServer | None, logs: Path, server: Mapping[str, str], api: wandb.Api) -> None:
        self.project = name_project()
        super().__init__("modal", logs, server, api)
        self._modal = modal
        if modal is not None:
            modal.plane.start_delay = BEGIN_AFTER

    def cut_off(self) -> AbstractContextManager[None] | None:
        if self._modal is None:
            return None
        self._modal.plane.start_delay = 86_400.0  # one that begins meanwhile ends, since its notes cannot be used
        return self._be_away(self._modal)

    @contextmanager
    def _be_away(self, modal: ModalServer) -> Iterator[None]:
        modal.wire.away = True
        try:
            yield
        finally:
            modal.wire.away = False


class SlurmBench(LauncherBench):
    """The same on a real Slurm.

    Args:
        cluster: The Slurm.
        logs: Folder of the logs.
        server: Variables of the W&B server.
        api: Its client.
    """

    def __init__(self, cluster: SlurmCluster, logs: Path, server: Mapping[str, str], api: wandb.Api) -> None:
        super().__init__("slurm", logs, server, api)
        self._cluster = cluster

    def cut_off(self) -> AbstractContextManager[None]:
        return self._cluster.away()


class SshBench(LauncherBench):
    """The same on two hosts.

    Args:
        hosts: Their sshd.
        logs: Folder of the logs.
        server: Variables of the W&B server.
        api: Its client.
    """

    hosts = "host1,host2:2"

    def __init__(self, hosts: SshHosts, logs: Path, server: Mapping[str, str], api: wandb.Api) -> None:
        super().__init__("ssh", logs, {name: server[name] for name in ("WANDB_BASE_URL", "WANDB_API_KEY")}, api)
        self._sshd = hosts

    def cut_off(self) -> AbstractContextManager[None]:
        return self._sshd.away()

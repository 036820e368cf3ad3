"""A stand-in for Modal and a W&B server, shared by all whole sweeps: their services start once."""

from collections.abc import Iterator

import pytest

from tests.launchers.modal.modal_sweeps import ModalSweeps
from tests.server_process import ServerProcess
from tests.stand_ins.modal_server import ModalServer


@pytest.fixture(scope="package")
def sweeps(tmp_path_factory: pytest.TempPathFactory, wandb_server: ServerProcess) -> Iterator[ModalSweeps]:
    """The command line against the stand-in."""
    secrets = {"wandb-secret": {"WANDB_API_KEY": wandb_server.key}}
    with ModalServer(tmp_path_factory.mktemp("m"), secrets) as modal:
        sweeps = ModalSweeps(tmp_path_factory.mktemp("w"), modal, wandb_server)
        yield sweeps
        sweeps.close()

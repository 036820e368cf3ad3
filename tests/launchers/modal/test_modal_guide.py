"""The page on Modal, from the first command to the last, as a new user types it; on the stand-in."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from multistage.services import stop_services
from multistage.settings import Settings
from tests.guide.documented import list_blocks
from tests.server_process import ServerProcess
from tests.stand_ins.modal_server import ModalServer

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
TRAIN = """
import os
import wandb
run = wandb.init()
run.log({"score": -abs(run.config["lr"] - 1e-3)})
run.finish()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_page_works(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, wandb_server: ServerProcess
) -> None:
    """A user without a token, a login and a secret; what only a browser or a keyboard can give is given here."""
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "deployments").symlink_to(ROOT / "deployments")
    with ModalServer(tmp_path_factory.mktemp("m")) as modal:
        environment = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(tmp_path / "home"),
            "MULTISTAGE_HOME": str(tmp_path / "home" / "services"),
            "WANDB_BASE_URL": wandb_server.url,
            "MODAL_SERVER_URL": modal.url,
            "MODAL_CONFIG_PATH": str(tmp_path / "home" / ".modal.toml"),
            "BROWSER": "true",
            "COLUMNS": "200",
        }
        (tmp_path / "home").mkdir()
        lines = [line.partition("#")[0].strip() for block in list_blocks("modal.md") for line in block.splitlines()]
        done = []
        try:
            for line in filter(None, lines):
                app = next((one.name for one in modal.plane.apps.values()), "")
                words = shlex.split(line.replace("WANDB_API_KEY=...", f"WANDB_API_KEY={wandb_server.key}"))
                words = [app if word == "NAME" else word for word in words]
                if words[:2] == ["wandb", "login"]:
                    words.append(wandb_server.key)
                found = subprocess.run(
                    words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False
                )
                assert found.returncode == 0, f"{line}\n{found.stdout}\n{found.stderr}"
                done.append((line, found.stdout))
        finally:
            stop_services(Settings(home=tmp_path / "home" / "services"))
        said = dict(done)
        finished = [text for text in said.values() if "MULTI-STAGE SWEEP COMPLETE!" in text]
        assert len(finished) == 2
        assert all("Cost: $" in text for text in finished)
        assert any("Worker" in text for line, text in done if line.startswith("modal app logs"))
        assert modal.list_containers() == []

"""What cannot be done on Modal is refused with exit code 2, one sentence with the remedy, and nothing deployed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from multistage.cli import main
from tests.launchers.modal.modal_client import using
from tests.server_process import ServerProcess
from tests.stand_ins.modal_server import ModalServer

SWEEP = ("digits:mlp", "--params", "learning_rate", "--budget", "20", "--launcher", "modal")
OWN = ("mine", "--params", "x:0-1", "--budget", "20", "--launcher", "modal", "--program", "train.py", "--metric", "y")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, wandb_server: ServerProcess) -> Iterator[ModalServer]:
    with (
        ModalServer(tmp_path_factory.mktemp("m"), {"wandb-secret": {"WANDB_API_KEY": wandb_server.key}}) as server,
        pytest.MonkeyPatch.context() as patch,
        using(server, patch),
    ):
        for name, value in wandb_server.environment.items():
            if name.startswith("WANDB_"):
                patch.setenv(name, value)
        patch.setenv("MULTISTAGE_HOME", str(tmp_path_factory.mktemp("home")))
        yield server
        wandb.teardown()


@pytest.mark.parametrize("command", [[], ["plan"]], ids=["sweep", "plan"])
@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (SWEEP, {"MODAL_TOKEN_ID": "", "MODAL_TOKEN_SECRET": ""}, "modal token new"),
        ((*SWEEP, "--modal-gpu", "RTX9"), {}, "there are T4"),
        ((*SWEEP, "--modal-timeout", "0"), {}, "--modal-timeout"),
        ((*SWEEP, "--modal-timeout", "86401"), {}, "--modal-timeout"),
        ((*SWEEP, "--workers", "50"), {}, "Use --workers 10"),
        ((*SWEEP, "--max-cost", "0.001"), {}, "lower --modal-timeout"),
        ((*SWEEP, "--image-python", "3.9"), {}, "--image-python"),
        ((*SWEEP, "--tracker", "embedded"), {}, "wandb login"),
        ((*SWEEP, "--project-dir", "missing"), {}, "does not exist"),
        (SWEEP, {"MODAL_SERVER_URL": "https://api.modal.com"}, "which is this machine"),
        (OWN, {}, "--project-dir"),
        ((*OWN, "--project-dir", "elsewhere"), {}, "is not in the project folder"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else None,
)
def test_an_impossible_wish_is_refused(
    server: ModalServer,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    arguments: tuple[str, ...],
    variables: dict[str, str],
    words: str,
) -> None:
    (workplace / "train.py").write_text("import wandb\n")
    (workplace / "elsewhere").mkdir()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main([*command, *arguments])
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert not server.plane.apps
    assert not (workplace / "runs").exists()


def test_a_plan_shows_cost_and_time_with_its_rates(
    server: ModalServer, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", *SWEEP, "--modal-gpu", "T4:2", "--max-cost", "3"])
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0, said
    assert "8 at once" in said
    assert (
        "2 cores at $0.04716 each, 4 GiB at $0.007992 each, 2 T4 at $0.5904 each, by Modal's price list of 2026-07-01"
        in said
    )
    assert "if a run takes │ cost │ time" in said.replace("┃", "│")
    assert "ends early rather than cost more than $3" in said
    assert not server.plane.apps

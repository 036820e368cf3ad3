"""Which program a sweep trains, and by which command: files wherever they lie, modules, and what starts by itself."""

from pathlib import Path
from typing import Any

import pytest

from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import UsageError
from multistage.request.resolution import ResolvedRequest, resolve_request
from multistage.request.sources.precedence import gather_parameters

FILE = {"method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}, "metric": {"name": "score"}}
MODULE = ("${env}", "${interpreter}", "-m", "${program}", "${args}")


def resolve(directory: Path, **changes: Any) -> ResolvedRequest:
    asked = {"config_id": "my:own", "budget": 100, "metric": "score"} | changes
    if "sweep_file" not in asked:
        asked.setdefault("params", "x:0-1")
    return resolve_request(SweepRequest.model_validate(asked), directory)


def read(directory: Path, **changes: Any) -> SweepSettings:
    return resolve(directory, **changes).plan.settings


@pytest.mark.parametrize("name", ["train.py", "sub/train.py", "meine Läufe/trainiere größer.py", "bare"])
@pytest.mark.parametrize("where", ["relative", "absolute", "home"])
def test_a_script_is_found_wherever_it_lies(
    name: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("import wandb\n")
    given = {"relative": name, "absolute": str(path), "home": f"~/{name}"}[where]
    settings = read(tmp_path if where == "relative" else tmp_path / "..", program=given)
    assert (settings.program, settings.command) == (str(path), ())


def test_a_dotted_name_without_a_file_is_a_module(tmp_path: Path) -> None:
    assert (read(tmp_path, program="pkg.train").program, read(tmp_path, program="pkg.train").command) == (
        "pkg.train",
        MODULE,
    )
    command = "${env} ${interpreter} -u -m ${program} ${args}"
    assert read(tmp_path, program="pkg.train", command=command).program == "pkg.train"
    own = FILE | {"program": "pkg.train", "command": list(MODULE)}
    assert (read(tmp_path, sweep_file=own).program, read(tmp_path, sweep_file=own).command) == ("pkg.train", MODULE)
    (tmp_path / "pkg.train").touch()
    assert read(tmp_path, program="pkg.train").program == str(tmp_path / "pkg.train"), "a file of that name is meant"


def test_a_folder_that_python_runs_is_a_script(tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    with pytest.raises(UsageError, match="'trainer/' does not exist"):
        read(tmp_path, program="trainer/")
    (tmp_path / "trainer" / "__main__.py").touch()
    assert read(tmp_path, program="trainer/").program == str(tmp_path / "trainer")


def test_what_starts_by_itself_is_started_so(tmp_path: Path) -> None:
    script = tmp_path / "run it.sh"
    script.write_text('#!/bin/sh\npython train.py "$@"\n')
    with pytest.raises(UsageError, match="not a Python script, and is not executable") as refused:
        read(tmp_path, program=script.name)
    assert "chmod +x 'run it.sh'" in refused.value.hint
    script.chmod(0o755)
    assert read(tmp_path, program=script.name).command == ("${program}", "${args}")
    assert read(tmp_path, program=script.name, style="config").command == ("${program}",)


def test_a_shell_script_needs_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("python train.py\n")
    (tmp_path / "run.sh").chmod(0o755)
    with pytest.raises(UsageError, match="not a Python script"):
        read(tmp_path, program="run.sh")
    assert read(tmp_path, program="run.sh", command="bash ${program}").command == ("bash", "${program}")


def test_an_executable_of_python_is_run_by_the_trainings_python(tmp_path: Path) -> None:
    for name, first in (("train", "#!/usr/bin/env python3"), ("other.py", "#!/usr/bin/env -S uv run --script")):
        (tmp_path / name).write_text(f"{first}\n")
        (tmp_path / name).chmod(0o755)
        assert read(tmp_path, program=name).command == ()


def test_the_config_id_reaches_a_style_that_hands_it_on(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    settings = read(tmp_path, config_id="CartPole-v1:ppo", program="train.py", style="guide")
    line = "${env} ${interpreter} ${program} --config_id ${config_id} --wandb_sweep"
    assert settings.command[3:] == ("--config_id", "CartPole-v1:ppo", "--wandb_sweep")
    same = read(tmp_path, config_id="CartPole-v1:ppo", program="train.py", command=line)
    assert settings.hash_identity() == same.hash_identity()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"program": "train.py", "style": "hydr"}, "no style 'hydr'"),
        ({"program": "train.py", "style": ""}, "no style ''"),
        ({"program": "train.py", "style": "hydra", "command": "python a.py"}, "--style and --command both say"),
        ({"program": "nope.py"}, r"'nope.py' does not exist in \S+\. Name a file, or a module"),
        ({"program": ""}, r"^The program's name is empty\."),
        ({"command": "python ${program}"}, r"^The command runs \$\{program\}, and no program is named\."),
        ({"command": "python ${program}", "program": ""}, "and no program is named"),
        ({"config_id": "digits:mlp", "params": "alpha", "style": "hydra"}, "is bundled, and takes no --style"),
        ({"config_id": "digits:mlp", "params": "alpha", "style": "hydr"}, "no style 'hydr'"),
        ({"sweep_file": FILE | {"program": "train.py", "command": ["python"]}, "style": "json"}, "command of its own"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    with pytest.raises(UsageError, match=words):
        read(tmp_path, **changes)


def test_a_file_without_a_command_takes_a_style(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    settings = read(tmp_path, sweep_file=FILE | {"program": "train.py"}, style="json")
    assert settings.command == ("${env}", "${interpreter}", "${program}", "${args_json}")


def test_the_nearer_of_style_and_command_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "multistage.toml").write_text('style = "hydra"\n[configs.own]\nprogram = "~/a.py"\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    near = gather_parameters({"config_id": "own", "command": "python a.py"}, tmp_path).parameters
    assert "style" not in near
    assert near["program"] == str(tmp_path / "a.py")
    assert gather_parameters({"config_id": "own"}, tmp_path).parameters["style"] == "hydra"
    monkeypatch.setenv("MULTISTAGE_STYLE", "flags")
    (tmp_path / "multistage.toml").write_text('command = "python a.py"\nprogram = "pkg.train"\n')
    near = gather_parameters({"config_id": "own"}, tmp_path).parameters
    assert (near["style"], near["program"], "command" in near) == ("flags", "pkg.train", False)


def test_a_script_beside_a_bundled_trainer_is_told(tmp_path: Path) -> None:
    bundled = {"config_id": "digits:mlp", "params": "alpha", "metric": None}
    assert not any("train.py" in warning for warning in resolve(tmp_path, **bundled).warnings)
    (tmp_path / "train.py").touch()
    (told,) = (warning for warning in resolve(tmp_path, **bundled).warnings if "train.py" in warning)
    assert "bundled trainer, not by the train.py" in told
    assert "--program train.py" in told
    own = resolve(tmp_path, **bundled | {"params": "alpha:0-1", "metric": "score"}, program="train.py")
    assert not any("bundled" in warning for warning in own.warnings)

"""Another interpreter for trainings: asked what it is before the first run, and with an environment of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from multistage.errors import UsageError
from multistage.worker.interpreter import Interpreter, enter_interpreter, inspect_interpreter

OWN = Path(sys.prefix)


def make_fake(path: Path, **told: str | None) -> Path:
    """Write a program that answers as an interpreter would."""
    answer = {"version": "3.9.18", "prefix": str(path.parents[1]), "base_prefix": "/usr", "wandb": "0.26.1", **told}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    path.chmod(0o755)
    return path


def test_an_interpreter_says_what_it_is_also_by_its_folder(workplace: Path) -> None:
    (workplace / "wandb").mkdir()  # passes for the package where it is on the path
    found = inspect_interpreter(Path(sys.executable))
    assert found.path == Path(sys.executable)
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found.wandb is not None
    make_fake(workplace / "my env" / "bin" / "python")
    fake = inspect_interpreter(Path("my env"))
    assert fake.describe() == f"{workplace / 'my env' / 'bin' / 'python'}, Python 3.9.18 with wandb 0.26.1"


@pytest.mark.parametrize("content", ["", "#!/bin/sh\necho hello\n", "#!/bin/sh\necho 3\n", "#!/bin/sh\nexit 3\n"])
def test_what_is_no_interpreter_is_refused(workplace: Path, content: str) -> None:
    (workplace / "python").write_text(content)
    (workplace / "python").chmod(0o755)
    for path in (workplace / "python", workplace / "nowhere", workplace):
        with pytest.raises(UsageError, match="is not a Python interpreter"):
            inspect_interpreter(path)


@pytest.mark.parametrize(("wandb", "said"), [(None, "lacks wandb"), ("0.25.1", "has wandb 0.25.1, older than 0.26")])
def test_a_client_that_is_missing_or_too_old_is_refused(workplace: Path, wandb: str | None, said: str) -> None:
    path = make_fake(workplace / "env" / "bin" / "python", wandb=wandb)
    with pytest.raises(UsageError, match=said) as refused:
        inspect_interpreter(path)
    assert refused.value.hint == f"Install one: {path} -m pip install 'wandb>=0.26'."


def test_trainings_have_its_environment_and_nothing_of_this_one(workplace: Path) -> None:
    path = make_fake(workplace / "env" / "bin" / "python")
    environment = {
        "PATH": f"{OWN / 'bin'}{os.pathsep}/usr/bin",
        "VIRTUAL_ENV": str(OWN),
        "CONDA_PREFIX": "/opt/conda",
        "PYTHONHOME": str(OWN),
        "PYTHONPATH": os.pathsep.join(("src", str(OWN / "lib"))),
    }
    enter_interpreter(inspect_interpreter(path), environment, workplace / "shims", OWN)
    assert environment == {
        "PATH": os.pathsep.join((str(path.parent), str(OWN / "bin"), "/usr/bin")),
        "VIRTUAL_ENV": str(workplace / "env"),
        "PYTHONPATH": "src",
    }


def test_a_conda_environment_is_known_by_its_folder(workplace: Path) -> None:
    place = workplace / "conda"
    (place / "conda-meta").mkdir(parents=True)
    found = inspect_interpreter(make_fake(place / "bin" / "python", base_prefix=str(place)))
    environment = {"VIRTUAL_ENV": str(OWN)}
    enter_interpreter(found, environment, workplace / "shims", OWN)
    assert environment == {
        "PATH": os.pathsep.join((str(place / "bin"), os.defpath)),
        "CONDA_PREFIX": str(place),
        "CONDA_DEFAULT_ENV": "conda",
    }


def test_one_of_another_name_is_python_to_its_trainings(workplace: Path) -> None:
    path = make_fake(workplace / "it's" / "bin" / "python3.9", base_prefix=str(workplace / "it's"))
    environment: dict[str, str] = {}
    enter_interpreter(inspect_interpreter(path), environment, workplace / "shims", OWN)
    asked = ["/usr/bin/env", "python", "-c", "1"]
    answer = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout
    assert json.loads(answer)["version"] == "3.9.18"
    assert Interpreter.model_validate({**json.loads(answer), "path": path}).wandb == "0.26.1"

"""The image holds what a worker needs, and a container needs nothing else."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

from multistage.launchers.modal.app import TRAINER_EXTRAS, describe_content

ROOT = Path(__file__).parents[3]

BARE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

class Image(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {absent!r} else super().find_spec(name, path, target)

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Image]
import multistage.launchers.modal.app
import multistage.worker.program
from multistage.training.catalogue import find_trainer
find_trainer({config_id!r}).load()
"""


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def close_over(names: list[str]) -> set[str]:
    """Everything that these packages bring, their extras left out."""
    found: set[str] = set()
    while names:
        name = normalize(names.pop())
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except ModuleNotFoundError:  # not for this platform
            continue
        names += [match[0] for text in needed if "extra ==" not in text and (match := re.match(r"[\w.-]+", text))]
    return found


@pytest.mark.parametrize(
    ("extra", "config_id"), [("digits", "digits:mlp"), pytest.param("rl", "CartPole-v1:ppo", marks=pytest.mark.slow)]
)
def test_a_container_needs_nothing_beyond_its_image(extra: str, config_id: str) -> None:
    """In a container is what the image lists, and ``modal``, which the cloud adds; above all no Prefect."""
    there = close_over([pin.partition("==")[0] for pin in describe_content((extra,)).requirements] + ["modal"])
    absent = {
        module
        for module, owners in packages_distributions().items()
        if not {normalize(owner) for owner in owners} & (there | {"multistage-sweep", "setuptools"})
    }
    assert {"prefect", "starlette", "plotly"} <= absent
    done = subprocess.run(
        [sys.executable, "-c", BARE.format(absent=absent, config_id=config_id)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_project_s_own_versions_stand() -> None:
    requirements = describe_content((), ROOT).requirements
    assert [pin.partition("==")[0] for pin in requirements if "==" in pin] == ["wandb", "pydantic"]
    assert set(requirements) >= {"numpy", "psutil"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_image_s_dependencies_resolve(tmp_path: Path) -> None:
    """The cloud's builder is not at hand; what it would install, pip finds and resolves."""
    requirements = describe_content(TRAINER_EXTRAS).requirements
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-cache-dir",
         "--disable-pip-version-check", "--quiet", "--report", str(tmp_path / "report.json"), *requirements],
        capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    found = {normalize(one["metadata"]["name"]): one["metadata"]["version"] for one in report["install"]}
    for pin in requirements:
        name, _, version = pin.partition("==")
        assert found[normalize(name)].partition("+")[0] == version
    assert "prefect" not in found

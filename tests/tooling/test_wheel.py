"""What users install holds the library, flows and tasks included, and nothing else."""

import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    built = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"]))
    with zipfile.ZipFile(built) as wheel:
        return frozenset(wheel.namelist())


def test_the_wheel_holds_only_the_library(names: frozenset[str]) -> None:
    # Two distributions that both ship a top-level `tasks` overwrite each other.
    assert {name.split("/")[0].split("-")[0] for name in names} == {"multistage", "multistage_sweep"}
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_holds_all_of_the_library(names: frozenset[str]) -> None:
    files = [path for path in (ROOT / "multistage").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT)) for path in files} <= names
    for folder in ("flows", "tasks"):
        modules = [path.name for path in (ROOT / folder).glob("*.py")]
        assert len(modules) > 3
        assert {f"multistage/pipeline/{folder}/{name}" for name in modules} <= names
    assert any(name.endswith("entry_points.txt") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_an_sdist_holds_all_that_the_wheel_does(names: frozenset[str], tmp_path: Path) -> None:
    built = next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    with tarfile.open(built) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in names if name.startswith("multistage/")} <= packed


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    released = [heading for heading in headings if heading != "## [Unreleased]"]
    assert released[0].startswith(f"## [{version}]")

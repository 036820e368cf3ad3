"""The flows and tasks have one name, in checkout and wheel; the names of the first release still reach them."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint

from multistage.pipeline.flows import multistage_sweep

ROOT = Path(__file__).parents[2]
SAME = """
import importlib, sys
for folder in ("flows", "tasks"):
    old = importlib.import_module(folder)
    assert old is importlib.import_module(f"multistage.pipeline.{folder}"), folder
old = importlib.import_module("flows.multistage_sweep")
assert old is importlib.import_module("multistage.pipeline.flows.multistage_sweep")
assert importlib.import_module("tasks.runs") is importlib.import_module("multistage.pipeline.tasks.runs")
paths = [module.__file__ for name, module in sys.modules.items() if name.startswith("multistage.pipeline.")]
assert len(paths) == len(set(paths)) > 10
"""
"""Loads the flows by their older names first."""


def test_the_older_names_give_the_same_modules() -> None:
    subprocess.run([sys.executable, "-c", SAME], cwd=ROOT, check=True, timeout=120)


@pytest.mark.parametrize("entrypoint", ["flows.multistage_sweep.multistage_sweep",
                                        "flows/multistage_sweep.py:multistage_sweep"])  # fmt: skip
def test_entrypoints_of_older_deployments_still_load(entrypoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a file's folder stays on it
    flow: Flow[..., object] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    assert flow.name == multistage_sweep.multistage_sweep.name
    assert flow.on_cancellation_hooks == multistage_sweep.multistage_sweep.on_cancellation_hooks


def test_prefect_yaml_names_the_flow_as_the_wheel_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    for entrypoint in {one["entrypoint"] for one in deployments}:
        flow: Flow[..., object] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        assert flow is multistage_sweep.multistage_sweep

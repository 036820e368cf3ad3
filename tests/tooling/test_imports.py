"""Who may import what, and what a quick command must not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("prefect", "wandb", "modal", "sklearn", "scipy", "torch", "starlette", "uvicorn", "plotly")

SPY = """
import json, sys
from multistage.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code in (0, None), ended.code
print("\\n" + json.dumps([name for name in sys.modules if "." not in name]))
"""


def test_the_floors_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["down", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", SPY, *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    said, _, imported = result.stdout.rstrip().rpartition("\n")
    assert said.strip()
    assert not set(HEAVY) & set(json.loads(imported))
    assert not list(tmp_path.iterdir())

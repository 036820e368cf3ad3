"""The calibration benchmark on the synthetic table: it records, tells, resumes, and its figures are right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run_benchmark(*options: str) -> str:
    command = [sys.executable, str(BENCHMARKS / "calibration.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout


def test_sweeps_are_recorded_once_and_told_by_any_code(tmp_path: Path) -> None:
    sweeps, outcomes = tmp_path / "sweeps.jsonl", tmp_path / "outcomes.jsonl"
    recording = ("record", "--data", str(BENCHMARKS / "data"), "--sweeps", str(sweeps), "--budgets", "20,60")
    run_benchmark(*recording, "--repeats", "1")
    first = sweeps.read_text()
    with sweeps.open("a") as file:
        file.write('{"table": "synth')
    run_benchmark(*recording, "--repeats", "1")
    assert sweeps.read_text().startswith(first)
    assert len([line for line in sweeps.read_text().splitlines() if line.endswith("}")]) == 2
    for label in ("one", "other", "one"):
        run_benchmark("tell", "--sweeps", str(sweeps), "--outcomes", str(outcomes), "--label", label)
    told = [json.loads(line) for line in outcomes.read_text().splitlines()]
    assert [(one["label"], one["budget"]) for one in told] == [("one", 20), ("one", 60), ("other", 20), ("other", 60)]
    assert told[0] == told[2] | {"label": "one"}
    assert all(one["interval"][0] <= one["mean"] <= one["interval"][1] for one in told)
    assert all(0.0 <= one["better"] <= 1.0 for one in told)
    assert len(told[1]["runs"]) >= 1
    printed = run_benchmark("show", "--outcomes", str(outcomes))
    assert "| 20 | one | **all** | 1 |" in printed
    assert "| label | told | sweeps |" in printed


def test_the_figures_are_what_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from calibration_summary import bin_chances, bound_plainly, bound_share, covers, score

    low, high = bound_share(95, 100)
    assert (low, high) == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert bound_share(0, 10)[0] == pytest.approx(0.0, abs=1e-12)
    assert score((1.0, 3.0), 2.0) == 2.0
    assert score((1.0, 3.0), 3.5) == 2.0 + 40 * 0.5
    assert bound_plainly([1.0]) is None
    assert bound_plainly([1.0, 3.0]) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-3)
    assert covers({"interval": [1.0, 1.0], "true": 1.0})
    assert not covers({"interval": [1.0, 2.0], "true": 2.1})
    chances = [{"better": chance, "is_default": chance == 0.0} for chance in (0.0, 0.05, 0.95, 1.0, None)]
    assert [len(group) for group in bin_chances(chances)] == [1, *[0] * 8, 2]

"""The calibration benchmark on the synthetic table: it records, tells, resumes, and its figures are right."""

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_sweeps_are_recorded_once_and_told_by_any_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from calibration import main

    sweeps, outcomes = tmp_path / "sweeps.jsonl", tmp_path / "outcomes.jsonl"
    recording = ("record", "--data", str(BENCHMARKS / "data"), "--sweeps", str(sweeps), "--budgets", "12,60")
    main([*recording, "--repeats", "1"])
    first = sweeps.read_text()
    with sweeps.open("a") as file:
        file.write('{"table": "synth')
    main([*recording, "--repeats", "1"])
    assert sweeps.read_text().startswith(first)
    assert len([line for line in sweeps.read_text().splitlines() if line.endswith("}")]) == 2
    for label in ("one", "other", "one"):
        main(["tell", "--sweeps", str(sweeps), "--outcomes", str(outcomes), "--label", label])
    told = [json.loads(line) for line in outcomes.read_text().splitlines()]
    assert [(one["label"], one["budget"]) for one in told] == [("one", 12), ("one", 60), ("other", 12), ("other", 60)]
    assert told[0] == told[2] | {"label": "one"}
    assert all(one["interval"][0] <= one["mean"] <= one["interval"][1] for one in told)
    assert all(0.0 <= one["better"] <= 1.0 for one in told)
    assert len(told[1]["runs"]) >= 1
    capsys.readouterr()
    main(["show", "--outcomes", str(outcomes)])
    printed = capsys.readouterr().out
    assert "| 12 | one | **all** | 1 |" in printed
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

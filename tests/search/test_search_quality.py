"""The search benchmark on its synthetic table: it must run anywhere, score truly and resume."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run_benchmark(*options: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "search_quality.py"), "--budgets", "20", "--workers", "4", *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return done.stdout


def test_the_benchmark_scores_resumes_and_compares(tmp_path: Path) -> None:
    out = tmp_path / "cells.jsonl"
    run_benchmark("--methods", "multistage", "--repeats", "1", "--json", str(out))
    [first] = [json.loads(line) for line in out.read_text().splitlines()]
    assert set(first) == {
        "method", "table", "budget", "repeat", "regret", "regret_seen", "reported", "true", "suggest_s", "makespan",
    }  # fmt: skip
    with out.open("a") as file:
        file.write('{"method": "mul')
    printed = run_benchmark(
        "--methods", "multistage,multistage/random,random,random+rep", "--repeats", "2", "--json", str(out)
    )
    cells = [json.loads(line) for line in out.read_text().splitlines() if line.endswith("}")]
    assert cells[0] == first
    assert len({(cell["method"], cell["repeat"]) for cell in cells}) == 8 == len(cells)
    assert all(-0.01 <= cell["regret"] <= 2 for cell in cells)
    assert all(1 <= cell["makespan"] < 2 for cell in cells)
    assert "## 20 runs" in printed
    assert "| random+rep |" in printed


def test_a_cell_is_the_same_whenever_it_is_run() -> None:
    keep = [run_benchmark("--methods", "multistage,random", "--repeats", "1") for _ in range(2)]
    scores = [[line.split("|")[1:6] for line in text.splitlines() if line.startswith("| ")] for text in keep]
    assert scores[0] == scores[1]


def test_a_prior_learns_from_the_other_tables_of_an_algorithm(tmp_path: Path) -> None:
    for name in ("toy_one", "toy_two"):
        shutil.copy(BENCHMARKS / "data" / "synthetic.npz", tmp_path / f"{name}.npz")
    methods, out = ("multistage", "multistage+prior", "multistage+misled"), tmp_path / "cells.jsonl"
    run_benchmark(
        "--data", str(tmp_path), "--tables", "toy_one", "--methods", ",".join(methods), "--repeats", "2",
        "--json", str(out),
    )  # fmt: skip
    cells = [json.loads(line) for line in out.read_text().splitlines()]
    regret = {method: sum(cell["regret"] for cell in cells if cell["method"] == method) for method in methods}
    assert regret["multistage+prior"] < regret["multistage+misled"]


def test_a_prior_needs_another_table(tmp_path: Path) -> None:
    shutil.copy(BENCHMARKS / "data" / "synthetic.npz", tmp_path / "toy_one.npz")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_benchmark("--data", str(tmp_path), "--methods", "multistage+prior", "--repeats", "1")
    assert "has no other table of toy than toy_one.npz" in caught.value.stderr


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run_benchmark("--data", str(tmp_path))


def test_the_table_keeps_its_kinds_scales_and_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from search_tables import Table, floor_divergence

    table = Table(BENCHMARKS / "data" / "synthetic.npz")
    assert [parameter.kind for parameter in table.space.parameters] == ["float", "float", "power_of_two"]
    assert "log" in table.space["learning_rate"].describe()
    config = table.space.from_unit([0.5, 0.5, 0.5])
    random = np.random.default_rng(0)
    draws = [table.draw(config, random) for _ in range(400)]
    assert np.mean(draws) == pytest.approx(table.measure(config), abs=float(np.std(draws)) / 5)
    assert np.std(draws) > 1
    assert table.fidelity > 0.5
    assert 0 <= table.rate(config) <= 2
    returns = np.array([[*range(1, 101), np.nan, -1e20]], dtype=float)
    assert floor_divergence(returns).min() == pytest.approx(2.0, abs=5)

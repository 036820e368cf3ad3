"""The search benchmark on tables that it has never seen: a cell of each, or a sentence that says why there is none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_campaign import FIELDS
from search_quality import main
from search_tables import Table, TableError, infer_parameter

RANDOM = np.random.default_rng(0)
UNIT = RANDOM.random((40, 3))
VALUES = -np.sum((UNIT - 0.4) ** 2, axis=1)


def write(path: Path, **arrays: Any) -> Path:
    with path.open("wb") as file:  # savez would add a suffix to a name with a dot
        np.savez(file, **{"X": UNIT, "hp": np.array(["a", "b", "c"]), "Y": VALUES[:, None]} | arrays)
    return path


def repeat(values: np.ndarray[Any, Any], *shape: int) -> np.ndarray[Any, Any]:
    """Runs of configs with these true values."""
    noise = 0.01 * np.random.default_rng(1).normal(size=(len(values), *shape))
    runs: np.ndarray[Any, Any] = noise + values.reshape(-1, *[1] * len(shape))
    return runs


@pytest.fixture(autouse=True)
def own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the benchmark sets it, and this gives it back


def test_odd_tables_give_cells_and_a_weak_one_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Few configs of one parameter, one seed, one training length; a name with what file systems and Markdown take.
    write(tmp_path / "wénig | v1.0 (few).npz", X=UNIT[:14, :1], hp=np.array(["lr/β: x"]), Y=UNIT[:14, 0][:, None, None])
    # Text alone, a constant among it, and failed trainings: some, and all of one config.
    kinds = np.array([RANDOM.choice(["adam", "sgd"], 40), np.full(40, "same"), RANDOM.choice(["x", "y", "z"], 40)]).T
    returns = repeat((kinds[:, 0] == "sgd") + 0.5 * (kinds[:, 2] == "y"), 4, 2)
    returns[3], returns[4:6, 0], returns[6, 1, 1], returns[7, 2, 1] = np.nan, np.nan, np.inf, -1e30
    write(tmp_path / "text.npz", X=kinds, Y=returns)
    # Columns of a log scale, one with holes, and a value a config.
    rate = 10 ** RANDOM.uniform(-6, -1, 40)
    columns = np.column_stack([rate, 2 ** RANDOM.integers(3, 9, 40), RANDOM.random(40)])
    columns[0, 2], columns[1, 2] = np.nan, np.inf
    write(tmp_path / "log.npz", X=columns, Y=-((np.log10(rate) + 3) ** 2))
    write(tmp_path / "noise.npz", X=UNIT[:12, :1], hp=np.array(["a"]), Y=repeat(np.zeros(12), 3))
    (tmp_path / "words.npz").write_text("no table")
    out = tmp_path / "cells.jsonl"
    main(f"--data {tmp_path} --budgets 10 --repeats 1 --workers 3 --methods multistage,random,tpe --json {out}".split())
    printed = capsys.readouterr()
    cells = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(cell["table"], cell["method"]) for cell in cells} == {
        (table, method) for table in ("wénig | v1.0 (few)", "text", "log") for method in ("multistage", "random", "tpe")
    }
    assert all(np.isfinite([cell[name] for name in FIELDS[4:]]).all() for cell in cells)
    assert "noise: 1 parameters, R2" in printed.err
    assert printed.err.count("left out") == 2
    assert "too weak to judge by, left out" in printed.err
    assert "words: left out, it is no .npz file" in printed.err
    assert "## 10 runs" in printed.out


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"Y": np.where(np.arange(40) < 9, VALUES, np.nan)}, "9 of its configs have a value after the longest"),
        ({"Y": np.stack([repeat(VALUES, 3), np.full((40, 3), np.nan)], axis=2)}, "0 of its configs have a value"),
        ({"X": UNIT[:0], "Y": VALUES[:0]}, "its Y has the shape"),
        ({"Y": np.zeros((40, 3))}, "all its values are equal"),
        ({"Y": VALUES * 1e200}, "values beyond 1e"),
        ({"Y": np.full(40, "failed")}, "words where numbers"),
        ({"Y": VALUES[:30]}, "X has 40 configs"),
        ({"X": UNIT[:, 0]}, "its X has the shape"),
        ({"hp": np.array(["a", "b"])}, "hp has 2 names"),
        ({"hp": np.array(["a", "b", "a"])}, "two parameters named 'a'"),
        ({"X": UNIT.astype(object)}, "Python objects"),
        ({"X": np.full((40, 3), 0.5)}, "no better than a median"),
    ],
)
def test_a_table_that_is_no_task_says_why(arrays: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=reason) as caught:
        Table(write(tmp_path / "table.npz", **arrays))
    assert "\n" not in str(caught.value)


def test_a_table_without_an_array_names_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "table.npz", X=UNIT)
    with pytest.raises(TableError, match="holds no Y, hp"):
        Table(tmp_path / "table.npz")


@pytest.mark.parametrize(
    ("column", "described"),
    [
        (10 ** np.linspace(-6, -1, 50), "(log)"),
        (np.linspace(0, 1, 50), "0 to 1"),
        (2.0 ** np.arange(3, 9), "powers of two"),
        (np.round(10 ** np.linspace(0, 4, 50)), "(int, log)"),
        (np.arange(50.0), "(int)"),
        (np.array([0.0, 1.0] * 9), "one of 0, 1"),
        (np.full(9, 0.5), "one of 0.5"),
        (["b", "a"], "one of a, b"),
    ],
)
def test_a_column_tells_its_kind_and_scale(column: Any, described: str) -> None:
    assert described in infer_parameter("x", column).describe()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Cells that were searched, by method and repeat; their figures are made up."""
    made: list[tuple[str, int]] = []

    def simulate(name: str, table: Any, budget: int, repeat: int, *_: Any) -> tuple[dict[str, Any], list[Any]]:
        made.append((name, repeat))
        told = {"method": name, "table": table.name, "budget": budget, "repeat": repeat}
        return told | dict.fromkeys(FIELDS[4:], 1.0), [None]

    monkeypatch.setattr("search_quality.simulate", simulate)
    return made


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    class Known:
        name, fidelity, space = "known", 0.9, ()

        def __init__(self, path: Path) -> None:
            assert path.stem == "known"

    monkeypatch.setattr("search_quality.Table", Known)
    (tmp_path / "known.npz").touch()
    return lambda options: main(["--data", str(tmp_path), "--budgets", "60", *options.split()])


def test_a_finished_cell_is_never_run_again(
    ask: Callable[[str], None], calls: list[tuple[str, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cells.jsonl"
    ask(f"--methods multistage,random,random --repeats 2 --json {out}")
    assert sorted(calls) == [("multistage", 0), ("multistage", 1), ("random", 0), ("random", 1)]
    whole = out.read_text()
    # Cut off within the last line, as a kill leaves it: that cell alone is run again, and on a line of its own.
    out.write_text(whole[:-40])
    calls.clear()
    ask(f"--methods multistage,random --repeats 2 --json {out}")
    assert calls == [("random", 1)]
    assert "passed over a damaged line" in capsys.readouterr().err
    torn, last = out.read_text().splitlines()[-2:]
    assert (torn, last) == (whole.splitlines()[-1][:-39], whole.splitlines()[-1])
    calls.clear()
    ask(f"--methods random,multistage --repeats 2 --json {out}")
    assert calls == []
    # What is no cell of this benchmark counts as none, and more methods and repeats are added to what is there.
    out.write_text(whole + '{"method": "tpe"}\n7\n')
    ask(f"--methods tpe --repeats 1 --json {out}")
    assert calls == [("tpe", 0)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            "--methods multistage,hyperopt",
            "there are multistage, multistage/SEARCH with any --search, both with +prior",
        ),
        ("--methods multistage+rep", "no method 'multistage+rep'"),
        ("--tables known,other", "no table 'other'; it holds known"),
        ("--budgets 50,x", "'x' is not a whole number"),
        ("--budgets 9", "below 10"),
        ("--workers 0", "'0' is not a whole number"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(
    options: str, words: str, ask: Callable[[str], None], calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        ask(options)
    assert words in capsys.readouterr().err
    assert calls == []

"""The search benchmark with training time as its currency: what is billed, predicted and chosen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_curves import FEWEST, LEVELS, Curves, predict_end
from search_evidence import ValueMap, choose_length
from search_lengths import read_rules
from search_pruners import PRUNERS
from search_quality import main
from search_seconds import Floor, Job, ReplicatingStepper, Run, Stepper, simulate_seconds
from search_tables import Table, TableError

from multistage.domain.runs.results import Config
from multistage.search.sobol import sample_sobol

RANDOM = np.random.default_rng(0)
UNIT = RANDOM.random((60, 2))
ENDS = -np.sum((UNIT - 0.4) ** 2, axis=1)[:, None] + 0.02 * RANDOM.normal(size=(60, 5))


def write(folder: Path, levels: int = LEVELS) -> Path:
    rising = ENDS[:, :, None] - np.linspace(1, 0, levels)
    np.savez(folder / "toy.npz", X=UNIT, hp=np.array(["a", "b"]), Y=rising)
    return folder / "toy.npz"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return Table(write(tmp_path_factory.mktemp("tables")))


@pytest.fixture(autouse=True)
def own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the benchmark sets it, and this gives it back


class Scripted(Stepper):
    """Trains what it is told, and stops where it is told."""

    def __init__(self, table: Table, jobs: list[Job], stops: tuple[tuple[int, int], ...] = ()) -> None:
        super().__init__(table.space, 5, 0)
        self._jobs, self._stops = jobs, stops

    def ask(self, index: int, room: int) -> Job | None:
        del index, room
        return self._jobs.pop(0) if self._jobs else None

    def watch(self, run: Run) -> bool:
        return (run.index, len(run.values)) not in self._stops


def at(table: Table, *point: float) -> Config:
    return table.space.from_unit(point)


def work(table: Table, method: Stepper, levels: int, workers: int = 1) -> Floor:
    floor = Floor(method, table, levels, workers, 0)
    floor.work()
    return floor


def test_a_run_ends_where_its_draw_does_and_a_curve_is_of_a_config(table: Table) -> None:
    curves, config = Curves(table), at(table, 0.4, 0.4)
    drawn = [
        curves.draw(config, table.draw(config, random), random) for random in map(np.random.default_rng, range(40))
    ]
    again = [table.draw(config, random) for random in map(np.random.default_rng, range(40))]
    assert [curve[-1] for curve in drawn] == pytest.approx(again)
    assert all(np.all(np.diff(curve) > 0) for curve in drawn)
    assert np.mean([curve[0] for curve in drawn]) == pytest.approx(table.measure(config) - 1, abs=0.05)


def test_a_table_without_curves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="curves need 10 lengths"):
        Curves(Table(write(tmp_path, levels=4)))


def test_a_stopped_run_leaves_its_rest_and_one_that_goes_on_pays_for_what_is_new(table: Table) -> None:
    config = at(table, 0.5, 0.5)
    jobs = [Job(config, LEVELS), Job(config, 4), Job(config, 6, 1), Job(config, LEVELS)]
    method = Scripted(table, jobs, stops=((0, 3),))
    floor = work(table, method, levels=19)
    assert [len(run.values) for run in floor.runs] == [3, 6, 10]
    assert [run.stopped for run in floor.runs] == [True, False, False]
    assert floor.paid == 19
    assert floor.clock == pytest.approx(floor.busy)  # one worker


def test_a_run_waits_until_a_stopped_one_leaves_what_it_costs(table: Table) -> None:
    config = at(table, 0.5, 0.5)
    stopped = Scripted(table, [Job(config), Job(config)], stops=((0, 2),))
    assert [len(run.values) for run in work(table, stopped, levels=12, workers=2).runs] == [2, 10]
    whole = Scripted(table, [Job(config), Job(config)])
    assert [len(run.values) for run in work(table, whole, levels=12, workers=2).runs] == [10]


def test_without_a_whole_run_the_best_of_the_longest_is_recommended(table: Table) -> None:
    near, far = at(table, 0.4, 0.4), at(table, 1.0, 1.0)
    method = Scripted(table, [Job(near, 2), Job(far, 4), Job(near, 4)])
    work(table, method, levels=10)
    assert method.recommend()[0] == near


def test_a_race_trains_the_best_configs_again(table: Table) -> None:
    class Chance(Stepper):
        def ask(self, index: int, room: int) -> Job | None:
            assert room >= LEVELS
            return Job(sample_sobol(self.space, 300, 0)[index])

    method = ReplicatingStepper(Chance(table.space, 150, 0))
    floor = work(table, method, levels=150 * LEVELS, workers=10)
    configs = [tuple(run.config.values()) for run in floor.runs]
    assert len(configs) == 150
    assert len(set(configs)) == 132
    assert len(set(configs[132:])) == 5
    config, mean = method.recommend()
    assert mean == pytest.approx(np.mean([run.values[-1] for run in floor.runs if run.config == config]))


def test_alike_curves_tell_who_leads() -> None:
    ends = np.linspace(0, 1, 40)
    whole = [end - np.linspace(1, 0, LEVELS) for end in ends]
    low, high = (predict_end(whole, curve[:3]) for curve in (whole[5], whole[-1]))
    assert low is not None
    assert high is not None
    assert low.leads < 0.02 < 0.3 < high.leads
    assert low.value == pytest.approx(ends[5], abs=0.05)
    assert predict_end(whole[: FEWEST - 1], whole[0][:3]) is None
    late = [np.append(np.zeros(LEVELS - 1), end) for end in ends]  # nothing is known before the end
    found = predict_end(late, late[0][:5])
    assert found is not None
    assert found.leads > 0.05


@pytest.mark.parametrize(("noisy", "chosen"), [(LEVELS, {3, 5}), (3, {LEVELS})])
def test_short_runs_are_taken_where_they_rank(table: Table, noisy: int, chosen: set[int]) -> None:
    random, configs = np.random.default_rng(0), sample_sobol(table.space, 45, 0)
    truth = np.array([table.measure(config) for config in configs])
    curves = np.repeat(truth[:, None], LEVELS, axis=1)
    wild = slice(None, 5) if noisy < LEVELS else slice(9, None)
    curves[:, wild] += random.normal(0, truth.std(), curves[:, wild].shape)
    assert choose_length(table.space, list(zip(configs, curves, strict=True))) in chosen


def test_short_values_stand_for_whole_ones() -> None:
    curves = [np.append(np.full(LEVELS - 1, value), 10 * value) for value in (0.0, 1.0, 1.0, 2.0, 3.0)]
    known = ValueMap(curves, 3)
    assert [known(value) for value in (-1, 1, 2.5, 4)] == pytest.approx([0, 10, 25, 40])


@pytest.mark.parametrize("text", ["lengths:3-5-9", "lengths:0-5-10", "lengths:5-10", "pause:3", "stop:2+often"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"stage 3 is whole|there is no rule|three levels"):
        read_rules(text)


def test_the_benchmark_bills_by_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    out = tmp_path / "cells.jsonl"
    methods = [
        "random", "multistage/lengths:10-10-10", "multistage/lengths:3-5-10", "multistage/lengths:auto",
        "multistage/stop:30+mean:3", "tpe-hyperband", "tpe-median+rep",
    ]  # fmt: skip
    options = f"--data {tmp_path} --currency seconds --budgets 40 --repeats 1 --workers 4 --json {out}"
    main([*options.split(), "--methods", ",".join(methods)])
    cells = {cell["method"]: cell for cell in map(json.loads, out.read_text().splitlines())}
    assert list(cells) == methods
    assert all(38 < cell["paid"] <= 40 for cell in cells.values())
    assert cells["random"]["runs"] == cells["random"]["whole"] == 40
    assert cells["multistage/lengths:10-10-10"]["runs"] == 40
    assert cells["multistage/lengths:3-5-10"]["runs"] == 40 + 40 + 8
    assert all(cells[name]["runs"] > 40 for name in ("multistage/stop:30+mean:3", "tpe-hyperband", "tpe-median+rep"))
    assert "## 40 runs" in capsys.readouterr().out


def test_methods_with_lengths_need_their_currency(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(write(tmp_path).parent), "--budgets", "20", "--methods", "asha"])
    assert "there is no method 'asha'" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")  # their packages warn
@pytest.mark.parametrize("name", ["asha", "asha-kde", "dehb", "priorband", "smac-mf"])
def test_a_peer_that_is_installed_spends_its_budget(name: str, table: Table) -> None:
    package = {"asha": "syne_tune", "asha-kde": "syne_tune", "priorband": "neps", "smac-mf": "smac"}.get(name, name)
    pytest.importorskip(package, reason="`make bench-env` brings it")
    make: Callable[..., Any] = PRUNERS[name]
    cell = simulate_seconds(make(table.space, 20, 0), name, table, 20, 0, 4)
    assert 18 < cell["paid"] <= 20
    assert cell["runs"] > 20
    assert cell["whole"] > 0

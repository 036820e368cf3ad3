"""Which searchers there are, a stranger's among them, and what is said of one that there is not."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from multistage.domain.runs.results import Evaluation
from multistage.domain.sweep.plan import STAGES, StageNumber
from multistage.errors import MissingExtraError, MultistageError, SweepFailedError, UsageError
from multistage.search.base import Searcher, SearchProblem
from multistage.search.conformance import CASES, Case, check_searcher
from multistage.search.registry import check_search, create_searcher, list_searchers
from tests.driver.drivers import SPACE, MemoryTracker, find_stage, make_driver, make_sweep
from tests.search.strangers import GOOD, install


def make(problem: SearchProblem) -> Searcher:
    return create_searcher("corners", problem)


def test_a_strangers_searcher_drives_a_sweep_to_its_exact_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path)
    assert "corners" in list_searchers()
    check_search("corners")
    sweep = make_sweep(30, search="corners", finalists=2)
    assert (sweep.proposer, find_stage(sweep, 2).method) == ("ours", "corners")
    earlier: list[Evaluation] = []
    for number in STAGES:
        slots = make_driver(sweep, number, MemoryTracker(), search=make, earlier=earlier).drive()
        assert slots.used == find_stage(sweep, number).runs
        earlier += slots.list_evaluations()
    corners = {bound for parameter in SPACE.parameters for bound in parameter.bounds}
    assert all(set(run.config.values()) <= corners for run in earlier if run.stage == 2)
    assert len(earlier) == sweep.budget


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_strangers_searcher_is_held_to_the_same_promises(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path)
    case.check("corners")


CHANCE = "[box.from_unit([random.random() for _ in box.names]) for _ in range(count)]"
SHORT = "def plan(self):\n        return super().plan()[1:]"
SUGGEST = "    def suggest(self, box, evaluations, pending, count):\n        "
BROKEN = {
    "too few": (f"{SUGGEST}return [box.from_unit([0] * len(box))] * (count - 1)", "0 configs"),
    "too many": (f"{SUGGEST}return [box.from_unit([0] * len(box))] * (count + 1)", "[23] configs"),
    "outside the box": (f"{SUGGEST}return [{{name: -9.0 for name in box.names}}] * count", "not within|not in the box"),
    "no value": (f"{SUGGEST}return [{{}}] * count", "not within|not in the box"),
    "an exception": (f"{SUGGEST}return [evaluations[1000]] * count", "IndexError"),
    "a short plan": (f"{SUGGEST}return []\n\n    {SHORT}", "planned|configs"),
    "no seed": (f"{SUGGEST}import random\n        return {CHANCE}", ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_promise_is_told_by_the_suite_and_while_it_drives(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, words = BROKEN[kind]
    head = GOOD[: GOOD.index("    def suggest")]
    install(monkeypatch, tmp_path, f"{head}{body}\n", name="corners")
    with pytest.raises((AssertionError, SweepFailedError), match=words or "other answers"):
        check_searcher("corners")
    if words:
        number: StageNumber = 1 if kind == "a short plan" else 2
        with pytest.raises(SweepFailedError, match=f"The searcher 'corners' .*({words})"):
            make_driver(make_sweep(search="corners"), number, MemoryTracker(), search=make).drive()


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ("gaussian", r"no searcher 'gaussian'.*There are auto, gp, wandb, random, sobol, optuna:"),
        ("ramdom", r"Did you mean random\?"),
        ("", r"no searcher ''"),
        ("gp:fast", "no variant 'fast'"),
        ("optuna", r"names no sampler\. There are optuna:tpe"),
        ("optuna:cmaes", r"no --search optuna:cmaes\. There are optuna:tpe"),
        ("auto:tpe", "no searcher 'auto:tpe'"),
    ],
)
def test_a_searcher_that_there_is_not_is_refused(search: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_search(search)
    caught.match(words)


def test_a_sampler_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def lack(name: str, *more: Any) -> Any:
        return None if name == "torch" else find(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", lack)
    with pytest.raises(MissingExtraError, match=r"torch.*pip install 'multistage-sweep\[optuna\]'"):
        check_search("optuna:gp")
    check_search("optuna:tpe")


@pytest.mark.parametrize(
    ("source", "value", "words"),
    [
        ("import no_such_module", "Corners", "cannot be loaded: ModuleNotFoundError"),
        ("1 / 0", "Corners", "cannot be loaded: ZeroDivisionError"),
        ("Corners = 3", "Corners", "cannot be called, or lacks `check`"),
        (GOOD, "Missing", "cannot be loaded: AttributeError"),
    ],
)
def test_a_strangers_searcher_that_cannot_be_loaded_is_a_sentence(
    source: str, value: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = install(monkeypatch, tmp_path, source, value=value)
    with pytest.raises(UsageError, match=words) as caught:
        check_search("corners")
    assert module in str(caught.value)


def test_two_packages_with_one_name_are_refused_and_our_own_names_stay_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path / "a", name="gp")
    check_search("gp")
    assert list_searchers().count("gp") == 1
    for folder, name in (("b", "corners"), ("c", "other")):
        place = tmp_path / folder
        install(monkeypatch, place, name=name)
        entries = next(place.glob("*.dist-info")) / "entry_points.txt"
        entries.write_text(f"[multistage.searchers]\ntwin = strange_{name}:Corners\n")
    with pytest.raises(MultistageError, match="'twin' is brought by strange_corners and strange_other"):
        check_search("twin")


def test_what_needs_no_model_loads_none() -> None:
    code = (
        "import sys\nfrom multistage.search.registry import check_search\n"
        "for name in ('gp', 'wandb', 'random', 'sobol'): check_search(name)\n"
        "print(*({'scipy', 'sklearn', 'optuna', 'torch'} & {*sys.modules}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout == "\n"

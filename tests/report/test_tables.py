"""What the terminal shows: banner, tables, and the best config for other programs."""

import json
import shlex
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from multistage.domain.space.layout import Place
from multistage.domain.space.parameters import CategoricalParameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import RunOptions, plan_sweep
from multistage.domain.sweep.state import CutShort, PendingApproval, Recommended, StageProgress, State
from multistage.errors import FolderError
from multistage.report.artifacts import describe_result
from multistage.report.banner import format_banner, format_config, format_number
from multistage.report.best_config import format_best
from multistage.report.plan import draw_plan
from multistage.report.tables import draw_state, draw_sweeps
from multistage.store.sweep_folder import SweepFolder
from tests.states import BEGAN, make_settings, make_stage, make_state

RECOMMENDED = Recommended(config={"lr": 2e-3}, mean=0.85, interval=(0.8, 0.9), seeds=3)


def show(drawing: RenderableType) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(drawing)
    return captured.get()


def finish(**changes: object) -> State:
    return make_state(3).model_copy(update={"status": "completed", "recommended": RECOMMENDED, **changes})


def test_the_banner_says_what_the_guides_does_and_what_can_be_expected() -> None:
    banner = format_banner(finish(), Path("runs/made/state.json"))
    for line in (
        "MULTI-STAGE SWEEP COMPLETE!",
        "Total runs: 27",
        "Best metric: 0.9 (Stage 3)",
        'Best config: {"lr": 0.001}',
        'Recommended: {"lr": 0.002}',
        "0.85 expected (95%: 0.8 to 0.9, 3 runs of it)",
        "State saved to: runs/made/state.json",
        "the highest of 27 single runs, partly by luck",
    ):
        assert line in banner
    assert "Lost to the machine" not in banner
    assert "failed" not in banner


@pytest.mark.parametrize(
    ("why", "because", "words"),
    [
        (
            "deadline",
            "stage 3's deadline",
            "deadline. To continue, run `multistage-sweep resume made`; change --stage-deadline",
        ),
        ("cost cap", "cost cap", "cost cap. To continue, run `multistage-sweep resume made`; change --max-cost"),
        (None, "settled race", "Ended early: settled race\n"),
    ],
)
def test_the_banner_of_a_sweep_that_was_cut_short_says_how_to_go_on(
    why: CutShort | None, because: str, words: str
) -> None:
    stage = make_stage(3).model_copy(update={"cut_short": why})
    assert words in format_banner(finish(stages_completed=(stage,), budget_used=9, ended_because=because), Path("s"))


def test_commands_in_banner_and_state_name_the_sweep_so_that_it_is_found() -> None:
    cut = finish(stages_completed=(make_stage(3).model_copy(update={"cut_short": "deadline"}),), budget_used=9)
    assert "`multistage-sweep resume 'a b'`" in format_banner(cut, Path("s"), "'a b'")
    asked = make_state(1, pending_approval=PendingApproval(stage=2, proposed={}, url="http://x"))
    folder = SweepFolder(Path("/sp ace/s"))
    assert "`multistage-sweep approve '/sp ace/s'`" in show(draw_state(asked, folder, 1))
    assert "`multistage-sweep approve mine`" in show(draw_state(asked, folder, 1, "mine"))


def test_links_and_commands_stay_whole_in_a_narrow_terminal_and_sentences_break_between_words() -> None:
    link = f"http://127.0.0.1:44059/flow-runs/flow-run/{'0' * 40}"
    state = make_state(1, status="stopped", prefect_url=link, ended_because=" ".join(["long"] * 20))
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(draw_state(state, SweepFolder(Path("/far/away" * 9)), None), soft_wrap=True)
    lines = captured.get().splitlines()
    assert f"Prefect: {link}" in lines
    assert f"Resume with: {SweepFolder(Path('/far/away' * 9)).resume_command}" in lines
    assert lines[0].rstrip().endswith("long")
    assert len(lines[0]) <= 80


def test_the_banner_of_a_single_sweep_knows_no_stages() -> None:
    single = finish()
    banner = format_banner(single.model_copy(update={"plan": single.plan[:1], "best_stage": 1}), Path("s"))
    assert "SWEEP COMPLETE!" in banner
    assert "MULTI-STAGE" not in banner
    assert "(Stage" not in banner


def test_the_best_config_is_nested_as_its_sweep_file_had_it() -> None:
    state = finish()
    layout = {"optimizer.lr": Place(path=("optimizer", "lr")), "layers": Place(path=("layers",), is_json=True)}
    settings = state.settings.model_copy(update={"layout": layout, "fixed": {"layers": "[1, 2]"}})
    nested = state.model_copy(update={"settings": settings, "recommended": None, "best_config": {"optimizer.lr": 0.1}})
    assert json.loads(format_best(nested, "json")) == {"layers": [1, 2], "optimizer": {"lr": 0.1}}
    assert format_best(nested, "args") == "'--layers=[1, 2]' '--optimizer={\"lr\": 0.1}'"


def test_the_banner_says_that_a_config_was_not_trained_again() -> None:
    once = finish(recommended=RECOMMENDED.model_copy(update={"seeds": 1}))
    said = "0.85 expected (95%: 0.8 to 0.9, 1 run of it, not trained again)"
    assert said in format_banner(once, Path("s"))
    assert said in describe_result(once, Path("s"))


@pytest.mark.parametrize(
    ("verdict", "likely", "said"),
    [
        ("improvement", 0.97, "That it beats the defaults is 97% likely."),
        ("improvement", 0.9999, "That it beats the defaults is over 99% likely."),
        ("unclear", 0.71, "No clear improvement: that it beats the defaults is 71% likely."),
        ("no improvement", 0.0, "No improvement found: the defaults themselves did best."),
    ],
)
def test_the_banner_says_whether_the_defaults_were_beaten(verdict: str, likely: float, said: str) -> None:
    found = RECOMMENDED.model_copy(update={"verdict": verdict, "probability_better_than_defaults": likely})
    assert said in format_banner(finish(recommended=found), Path("s"))
    assert said in describe_result(finish(recommended=found), Path("s"))


def test_the_banner_says_where_nothing_was_compared_with_the_defaults() -> None:
    unknown = finish(settings=make_settings(baseline={}))
    assert "Whether it beats the defaults is unknown: --baseline names them." in format_banner(unknown, Path("s"))
    untrained = finish(settings=make_settings(baseline={"lr": 1e-3}))
    failed = untrained.model_copy(update={"plan": plan_sweep(untrained.settings).stages})
    assert "is unknown: their runs have no value." in format_banner(failed, Path("s"))
    assert "Whether it beats the defaults is unknown: no run trained them." in format_banner(untrained, Path("s"))
    assert "defaults" not in format_banner(unknown.model_copy(update={"plan": unknown.plan[:1]}), Path("s"))
    assert "defaults" not in format_banner(finish(recommended=None), Path("s"))


def test_the_banner_tells_of_failed_and_lost_runs() -> None:
    stage = make_stage(1).model_copy(update={"runs_failed": 2, "attempts_lost": 4})
    banner = format_banner(finish(stages_completed=(stage,)), Path("s"))
    assert "Total runs: 27 (2 failed)" in banner
    assert "Lost to the machine and trained again: 4 runs" in banner


def test_a_sweep_without_any_value_has_an_honest_banner() -> None:
    nothing = finish(recommended=None, best_metric=None, best_config=None, best_stage=None)
    banner = format_banner(nothing, Path("s"))
    assert "Best metric: none" in banner
    assert "Stage None" not in banner
    assert "no run finished with a value" in banner
    assert "None" not in describe_result(nothing, Path("s"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_configs_numbers_are_short_and_nearly_exact(value: float) -> None:
    assert json.loads(format_config({"lr": value}))["lr"] == pytest.approx(value, rel=1e-5)


def test_numbers_are_written_as_people_read_them() -> None:
    assert [format_number(value) for value in (0.123456789, 500.0, 1e-7, None)] == ["0.12346", "500", "1e-07", "none"]


def test_the_result_in_prefect_has_a_row_for_each_stage() -> None:
    text = describe_result(finish(), Path("s"))
    assert text.startswith("# digits:mlp: 0.9")
    assert all(f"| {number} | sobol | 9 | 0 | 0.9 |" in text for number in (1, 2, 3))


def test_a_plan_shows_ranges_stages_and_warns_of_no_markup() -> None:
    odd = CategoricalParameter(name="mode", choices=("[red]", "b"))
    settings = make_settings(
        space=SearchSpace(parameters=(odd,)), program="/x/train.py", fixed={"epochs": 3}, finalists=2
    )
    shown = show(draw_plan(plan_sweep(settings), RunOptions(workers=2, directory=Path("/x")), Path("runs/made")))
    for words in ("[red]", "runs/made", "local/digits", "epochs", "/x/train.py", "${program}", "the last 2 train", "±"):
        assert words in shown


@pytest.mark.parametrize(
    ("state", "driver", "words", "silent"),
    [
        (finish(), None, "Recommended:", "--resume"),
        (make_state(1, status="stopped", ended_because="[a] word"), None, "stopped ([a] word)", "driver is gone"),
        (make_state(1, status="stopped"), None, "s/state.json", "driver is gone"),
        (make_state(1), None, "s/state.json", "completed"),
        (make_state(1), 4711, "running, 9 of 30", "--resume"),
    ],
)
def test_a_sweeps_state_says_how_to_go_on(state: State, driver: int | None, words: str, silent: str) -> None:
    shown = show(draw_state(state, SweepFolder(Path("runs/s")), driver))
    assert words in shown
    assert silent not in shown


def test_all_sweeps_are_listed_and_none_is_said() -> None:
    assert "no sweep in runs" in show(draw_sweeps([], [Path("runs")]))
    shown = show(draw_sweeps([(SweepFolder(Path("runs/a")), make_state(1)), (SweepFolder(Path("b")), finish())], []))
    assert "9/30" in shown
    assert "27/30" in shown


def test_a_sweep_whose_state_is_damaged_is_listed_with_the_others() -> None:
    damaged = FolderError("runs/a/state.json is damaged.")
    shown = show(draw_sweeps([(SweepFolder(Path("runs/a")), damaged), (SweepFolder(Path("b")), finish())], []))
    assert "state.json is damaged" in shown
    assert "27/30" in shown


@pytest.mark.parametrize("how", ["json", "yaml", "args"])
def test_the_best_config_reads_back(how: Literal["json", "yaml", "args"]) -> None:
    text = format_best(finish(), how)
    match how:
        case "json":
            assert json.loads(text) == {"lr": 2e-3}
        case "yaml":
            assert yaml.safe_load(text) == {"lr": 2e-3}
        case "args":
            assert shlex.split(text) == ["--lr=0.002"]


def test_while_a_sweep_runs_its_best_config_is_the_best_seen_so_far() -> None:
    assert json.loads(format_best(make_state(1), "json")) == {"lr": 1e-3}
    with pytest.raises(FolderError, match="no best config yet"):
        format_best(make_state(0), "json")


@pytest.mark.parametrize(("value", "first"), [(0.95, True), (0.5, False)])
def test_the_best_of_the_running_stage_counts_where_it_is_the_best_so_far(value: float, first: bool) -> None:
    now = StageProgress(stage=2, runs=15, used=3, best_metric=value, best_config={"lr": 5e-3}, started_at=BEGAN)
    state = make_state(1, current_stage=now)
    assert json.loads(format_best(state, "json")) == {"lr": 5e-3 if first else 1e-3}
    assert "(interim)" in show(draw_state(state, SweepFolder(Path("runs/s"))))

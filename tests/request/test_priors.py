"""`--prior`: what is known of other trainings, found by itself or by name, and frozen when the sweep begins."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from multistage.domain.runs.slots import RunRecord, SlotName
from multistage.domain.space.field_ranges import PPO_NAMES
from multistage.domain.space.grammar import parse_params
from multistage.domain.sweep.account import EMBEDDED, Account
from multistage.domain.sweep.plan import RunOptions, SweepPlan, SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.sweep.state import StageProgress
from multistage.driver.search_problem import pose_problem
from multistage.errors import UsageError
from multistage.report.banner import format_banner
from multistage.report.plan import describe_search
from multistage.report.story import describe_stage_start, describe_start
from multistage.request.preparation import prepare_folder
from multistage.request.priors import field
from multistage.request.resolution import resolve_request
from multistage.request.resolved_sweep import resolve_sweep
from multistage.request.resumption import take_up
from multistage.request.sources.precedence import GatheredParameters
from multistage.search.registry import create_searcher
from multistage.search.sobol import sample_sobol
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.run_archive import RunArchive
from tests.states import BEGAN, make_settings, make_state

TABLES = Path("/work/shared/data/arlbench")
ROOT = Path(__file__).parents[2]
OWN: dict[str, Any] = {
    "config_id": "my:own",
    "params": "lr:log:1e-5-1e-1,layers:int:1-8",
    "command": "python t.py",
    "metric": "score",
}
PPO: dict[str, Any] = {
    "config_id": "My-v1:ppo",
    "params": "lr:log:1e-5-1e-1,clip_range:0.1-0.4",
    "program": "t",
    "metric": "score",
}
WANDB = Account(kind="wandb", base_url="https://api.wandb.ai", entity="me", can_enqueue=False, reason="asked for")


def resolve(
    place: Path, frozen: SweepSettings | None = None, account: Account | None = None, **asked: Any
) -> SweepPlan:
    request = SweepRequest.model_validate({"budget": 100, "prior": "auto"} | asked)
    find = {"find_account": lambda: account} if account else {}
    return resolve_request(request, place, runs_dir=place / "runs", frozen=frozen, **find).plan


def record(place: Path, name: str, params: str = "lr:log:1e-4-1,depth:1-2", runs: int = 40, **changes: Any) -> None:
    """Record an earlier sweep, in which a learning rate near 0.01 was best."""
    space = parse_params(params)
    settings = make_settings(**{"config_id": "their:own", "space": space, "command": ("python", "t.py")} | changes)
    folder = SweepFolder(place / "runs" / name)
    folder.write_state(make_state(settings=settings, name=name, config_id="their:own", goal=settings.goal))
    sign = 1 if settings.goal == "maximize" else -1
    found = [
        RunRecord(
            run_id=f"r{index}",
            name=SlotName(stage=1, index=index),
            phase="finished",
            config={**config, "seed": 1},
            value=-sign * abs(math.log10(float(config["lr"])) + 2) if "lr" in config else 1.0 * index,
        )
        for index, config in enumerate(sample_sobol(space, runs, 1))
    ]
    RunArchive(folder.locate_archive("one")).add(found, "")


def test_earlier_sweeps_of_the_program_are_found_and_their_configs_come_first(tmp_path: Path) -> None:
    record(tmp_path, "earlier")
    record(tmp_path, "other_program", command=("python", "u.py"))
    record(tmp_path, "nothing_shared", "width:1-2")
    record(tmp_path, "too_short", runs=9)
    plan = resolve(tmp_path, **OWN)
    assert plan.settings.prior == "earlier"
    assert plan.stages[0].prior == len(plan.settings.prior_configs) == 15
    assert all(10**-3 < float(config["lr"]) < 10**-1 for config in plan.settings.prior_configs)
    assert all(map(plan.settings.space.contains, plan.settings.prior_configs))
    (tmp_path / "runs" / "earlier" / "state.json").write_text("{")
    assert resolve(tmp_path, **OWN).settings.prior == "none"


def test_a_named_sweep_may_be_of_any_program_and_goal(tmp_path: Path) -> None:
    record(tmp_path, "other", command=("python", "u.py"), goal="minimize")
    record(tmp_path, "more")
    settings = resolve(tmp_path, **OWN, prior="other, more").settings
    assert settings.prior == "other,more"
    assert all(10**-3 < float(config["lr"]) < 10**-1 for config in settings.prior_configs)
    assert resolve(tmp_path, **OWN, prior="none").settings.prior_configs == ()


def test_a_resume_keeps_what_the_sweep_began_with(tmp_path: Path) -> None:
    record(tmp_path, "earlier")
    began = resolve(tmp_path, **OWN).settings
    record(tmp_path, "later", runs=80)
    assert resolve(tmp_path, **OWN).settings.prior == "earlier,later"
    for folder in ("earlier", "later"):
        (tmp_path / "runs" / folder / "state.json").unlink()
    for asked in ("auto", "earlier", "runs/earlier", str(tmp_path / "runs" / "earlier" / "state.json")):
        assert resolve(tmp_path, began, **OWN, prior=asked).settings == began
    other = resolve(tmp_path, began, **OWN, prior="none").settings
    assert began.compare_identity(other) == {"prior": ("earlier", "none")}
    old = make_settings()  # of a release that knew of no prior
    record(tmp_path, "earlier")
    assert resolve(tmp_path, old, **OWN).settings.prior == "none"


def test_a_sweep_that_was_killed_proposes_the_same_though_the_earlier_one_is_gone(tmp_path: Path) -> None:
    record(tmp_path, "earlier")
    request = SweepRequest.model_validate(
        {**OWN, "budget": 100, "stage1": "sobol", "prior": "earlier", "baseline": ("lr=0.1", "layers=2")}
    )
    folder, options = SweepFolder(tmp_path / "runs" / "mine"), RunOptions(workers=2, directory=tmp_path)
    began = resolve_request(request, tmp_path, runs_dir=folder.path.parent).plan
    first = prepare_folder(folder, request, began, options, resume=False)
    planned = create_searcher("gp", pose_problem(first)).plan()
    assert planned[:16] == [{"lr": 0.1, "layers": 2}, *began.settings.prior_configs]
    (tmp_path / "runs" / "earlier" / "state.json").unlink()
    asked = SweepRequest.model_validate({key: take_up(folder.load_state(), {})[key] for key in request.model_dump()})
    frozen = folder.load_state().settings
    again = resolve_request(asked, tmp_path, runs_dir=folder.path.parent, frozen=frozen).plan
    resumed = prepare_folder(folder, asked, again, options, resume=True)
    assert create_searcher("gp", pose_problem(resumed)).plan() == planned
    assert resumed.settings.hash_identity() == first.settings.hash_identity()
    larger = asked.model_copy(update={"budget": 160})
    grown = resolve_request(larger, tmp_path, runs_dir=folder.path.parent, frozen=frozen).plan
    more = prepare_folder(folder, larger, grown, options, resume=True)
    assert create_searcher("gp", pose_problem(more)).plan()[: len(planned)] == planned


def test_a_flow_run_that_prefect_retries_keeps_what_it_began_with(tmp_path: Path) -> None:
    record(tmp_path, "earlier")
    told = {**OWN, "prior": "auto", "budget": 100, "name": "mine", "runs_dir": tmp_path / "runs"}
    gathered = GatheredParameters(parameters=told, sources={})
    began = resolve_sweep(gathered, tmp_path, {}, EMBEDDED)
    assert began.plan.settings.prior == "earlier"
    prepare_folder(began.folder, began.request, began.plan, began.options, resume=False)
    record(tmp_path, "later", runs=80)
    (tmp_path / "runs" / "earlier" / "state.json").unlink()
    assert resolve_sweep(gathered, tmp_path, {}, EMBEDDED).plan == began.plan


def test_plan_log_and_banner_name_what_was_taken(tmp_path: Path) -> None:
    record(tmp_path, "earlier")
    plan = resolve(tmp_path, **OWN)
    state = make_state(settings=plan.settings, plan=plan.stages)
    told = "earlier, for 15 of stage 1's 30 runs"
    assert told in describe_start(state)
    now = StageProgress(stage=1, runs=30, started_at=BEGAN)
    assert describe_stage_start(state, now) == "Stage 1 of 3: 30 runs, sobol, 15 by the prior (earlier)."
    assert f"Prior:       {told}" in format_banner(state, tmp_path / "state.json")
    assert "15 by the prior (earlier)" in describe_search(plan.stages[0], plan.settings.prior)
    assert "Prior" not in format_banner(make_state(), tmp_path / "state.json")


def test_the_field_is_known_by_the_algorithm_and_the_names(tmp_path: Path) -> None:
    (tmp_path / "t").touch()
    settings = resolve(tmp_path, **PPO).settings
    assert settings.prior == "field"
    assert resolve(tmp_path, **PPO | {"prior": "field"}).settings == settings
    assert len(settings.prior_configs) == 15
    assert max(float(config["lr"]) for config in settings.prior_configs) < 1e-2
    assert resolve(tmp_path, **PPO | {"config_id": "My-v1:dqn", "params": "lr:log:1e-5-1e-1"}).settings.prior == "none"
    assert resolve(tmp_path, **PPO | {"params": "width:1-2"}).settings.prior == "none"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [(alias, canonical) for canonical, aliases in PPO_NAMES.items() for alias in aliases],
)
def test_every_name_of_a_hyperparameter_stands_for_it(name: str, canonical: str) -> None:
    for written in (name, name.replace("_", "-"), f"agent.{name}", name.upper()):
        space = parse_params(
            f"{written}:[true|false]" if canonical == "normalize_advantage" else f"{written}:0.1-0.9", {}
        )
        source = field.find_field_source(space, ["My-v1:ppo"])
        assert source is not None
        assert source.names == (written,)
        assert len(source.lessons) == 256


def test_no_name_stands_for_two_hyperparameters() -> None:
    names = [name for aliases in PPO_NAMES.values() for name in aliases]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("described", "names", "algorithm"),
    [
        (["CartPole-v1:ppo"], [], "ppo"),
        (["ALE-Pong-v5:objects_ppo", ""], [], "ppo"),
        (["my", "train_ppo.py"], ["x"], "ppo"),
        (["my", "ppo2.py"], ["x"], "ppo"),
        (["my", "train.py"], ["clip-coef", "x", "agent.gae-lambda"], "ppo"),
        (["my", "train.py"], ["clip_coef", "lr"], None),
        (["my", "train.py", "--algo", "ppo"], ["lr"], "ppo"),
        (["sb3:RecurrentPPO"], ["lr"], "ppo"),
        (["hippo", "train.py"], ["lr"], None),
        (["my", "train.py"], ["gamma"], None),
        (["my", "td3.py"], ["clip"], None),
    ],
)
def test_an_algorithm_is_recognized(described: list[str], names: list[str], algorithm: str | None) -> None:
    assert field.recognize(names, described) == algorithm


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"prior": "absent"}, "No sweep is called 'absent'"),
        ({"prior": "damaged"}, "is damaged"),
        ({"prior": "nothing_shared"}, "nothing_shared, which swept width: none of what is swept now"),
        ({"prior": "short"}, "short, which has 9 runs with a value"),
        ({"prior": "other_kind"}, "other_kind, in which layers had other values altogether"),
        ({"prior": "field"}, "--prior field knows PPO, and nothing of my:own"),
        ({"prior": "auto,field"}, "'auto,field' is no prior"),
        ({"prior": "field,"}, "'field,' is no prior"),
        ({"prior": "earlier", "search": "wandb"}, "W&B's engine proposes stage 1"),
        ({"prior": "earlier", "account": WANDB}, "W&B's engine proposes stage 1"),
        ({"prior": "earlier", "stage1": "grid", "grid_resolution": 3}, "--stage1 grid trains the grid alone"),
    ],
)
def test_a_prior_that_makes_no_sense_is_refused(tmp_path: Path, asked: dict[str, Any], words: str) -> None:
    record(tmp_path, "earlier")
    record(tmp_path, "nothing_shared", "width:1-2")
    record(tmp_path, "other_kind", "layers:[few|many]")
    record(tmp_path, "short", runs=9)
    record(tmp_path, "damaged")
    (tmp_path / "runs" / "damaged" / "state.json").write_text("{")
    with pytest.raises(UsageError) as caught:
        resolve(tmp_path, **OWN, **asked)
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("asked", [{"search": "wandb"}, {"account": WANDB}, {"stage1": "grid", "grid_resolution": 3}])
def test_where_none_can_be_used_auto_takes_none(tmp_path: Path, asked: dict[str, Any]) -> None:
    record(tmp_path, "earlier")
    assert resolve(tmp_path, **OWN, **asked).settings.prior == "none"


@pytest.mark.skipif(not TABLES.is_dir(), reason="the tables that the field's prior is distilled from are not here")
def test_the_script_reproduces_the_fields_prior(tmp_path: Path) -> None:
    script, out = ROOT / "benchmarks" / "build_prior.py", tmp_path / "field.json"
    subprocess.run([sys.executable, script, "--data", TABLES, "--out", out], check=True, timeout=240)
    assert out.read_text() == field.FIELD_FILE.read_text()

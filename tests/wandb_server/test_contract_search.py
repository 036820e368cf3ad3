"""The contract of sweeps that the server itself searches."""

import math
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from tests.contract.leftovers import name_project
from tests.wandb_server.contract_sweeps import get_path, get_state, list_runs, make_sweep, run_function_agent
from tests.wandb_server.wandb_clients import run_command, running_agent, wait_for

pytestmark = [
    pytest.mark.contract,
    # wandb.sweep() warns of its own use of it.
    pytest.mark.filterwarnings("ignore:Read the `app_url` setting:DeprecationWarning"),
]


BOUNDED = {
    "uniform": (1, 4),
    "int_uniform": (1, 4),
    "q_uniform": (1, 4),
    "log_uniform": (math.exp(1), math.exp(4)),
    "log_uniform_values": (1, 4),
    "q_log_uniform": (math.floor(math.exp(1)), math.ceil(math.exp(4))),
    "q_log_uniform_values": (1, 4),
    "inv_log_uniform": (math.exp(-4), math.exp(-1)),
    "inv_log_uniform_values": (1, 4),
}
"""Distributions with bounds, and where their values lie for the bounds 1 and 4."""


@pytest.fixture(scope="module")
def project() -> str:
    return name_project()


def test_grid_tries_every_point_once(api: Any, project: str, tracker: dict[str, str], tmp_path: Path) -> None:
    parameters = {
        "lr": {"values": [0.1, 0.2]},
        "kind": {"values": ["a", "b"]},
        "layers": {"distribution": "int_uniform", "min": 1, "max": 2},
        "fixed": {"value": 7},
    }
    sweep = make_sweep(api, project, method="grid", parameters=parameters)
    assert sweep.expected_run_count == 8
    run_function_agent(tracker, tmp_path, sweep, 20)
    runs = list_runs(api, sweep)
    points = {(run.config["lr"], run.config["kind"], run.config["layers"], run.config["fixed"]) for run in runs}
    assert len(runs) == len(points) == 8
    assert get_state(sweep) == "FINISHED"


@pytest.mark.slow
def test_a_deleted_point_of_a_grid_is_tried_again_after_a_resume_and_no_other(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    sweep = make_sweep(api, project, method="grid", parameters={"lr": {"values": [0.1, 0.2, 0.3]}})
    run_function_agent(tracker, tmp_path, sweep, 9, "if run.config.lr == 0.2: raise ValueError")
    assert get_state(sweep) == "FINISHED"
    [failed] = list_runs(api, sweep, state="failed")
    failed.delete()
    run_command(tracker, tmp_path, "sweep", "--resume", get_path(sweep))
    run_function_agent(tracker, tmp_path, sweep, 9)
    assert get_state(sweep) == "FINISHED"
    assert [(run.config["lr"], run.state) for run in list_runs(api, sweep)] == [
        (0.1, "finished"),
        (0.3, "finished"),
        (0.2, "finished"),
    ]


def test_values_of_all_kinds_are_tried_once_and_the_best_run_has_a_finite_one(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    kinds = [1, "a", True, None, 1, 2.5]
    sweep = make_sweep(api, project, method="grid", parameters={"kind": {"values": kinds}})
    body = "\n        ".join(
        [
            "values = {'1': 0.4, 'a': float('nan'), 'True': 0.9, 'None': float('-inf')}",
            "value = values.get(str(run.config.kind))",
            "if value is not None: run.log({'score': value})",
            "run.log({'other': 1})",
        ]
    )
    run_function_agent(tracker, tmp_path, sweep, 9, body)
    assert [run.config["kind"] for run in list_runs(api, sweep)] == [1, "a", True, None, 2.5]
    assert sweep.best_run().summary["score"] == 0.9
    for sign, finite in (("+", [0.4, 0.9]), ("-", [0.9, 0.4])):
        order = f"{sign}summary_metrics.score"
        found = list(api.runs("/".join(sweep.path[:2]), filters={"sweep": sweep.id}, order=order, per_page=2))
        assert [run.summary.get("score") for run in found[:2]] == finite
        assert len(found) == 5
        assert "score" not in found[4].summary


def test_random_keeps_to_its_distributions_and_its_cap(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path
) -> None:
    parameters = {
        "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
        "batch": {"distribution": "q_uniform", "min": 16, "max": 64, "q": 16},
        **{f"bounded/{kind}": {"distribution": kind, "min": 1, "max": 4} for kind in BOUNDED},
        **{f"bell/{kind}": {"distribution": kind, "mu": 1.0, "sigma": 0.1} for kind in ("normal", "q_normal")},
        **{f"bell/{kind}": {"distribution": kind, "mu": 0.0, "sigma": 0.1} for kind in ("log_normal", "q_log_normal")},
        **{f"beta/{kind}": {"distribution": kind, "a": 2, "b": 3} for kind in ("beta", "q_beta")},
        "constant": {"distribution": "constant", "value": 7},
        "choice": {"distribution": "categorical", "values": ["a", None, 2.5, True]},
        "weighted": {
            "distribution": "categorical_w_probabilities",
            "values": ["never", "always"],
            "probabilities": [0.0, 1.0],
        },
        "integer": {"min": 1, "max": 4},
        "optimizer": {"parameters": {"name": {"values": ["sgd", "adam"]}, "momentum": {"min": 0.0, "max": 1.0}}},
    }
    sweep = make_sweep(api, project, method="random", parameters=parameters, run_cap=4)
    run_function_agent(tracker, tmp_path, sweep, 4, "run.log({'score': run.config.lr})")
    with running_agent(tracker, tmp_path, get_path(sweep)) as agent:
        assert agent.wait(30) == 0
    runs = list_runs(api, sweep)
    assert len(runs) == 4
    for run in runs:
        assert 1e-4 <= run.config["lr"] <= 1e-2
        assert run.config["batch"] in (16, 32, 48, 64)
        assert run.config["optimizer"]["name"] in ("sgd", "adam")
        assert 0 <= run.config["optimizer"]["momentum"] <= 1
        for kind, (low, high) in BOUNDED.items():
            assert low <= run.config[f"bounded/{kind}"] <= high, kind
        for key in run.config:
            if key.startswith("bell/"):
                assert 0 <= run.config[key] <= 2, key
            if key.startswith("beta/"):
                assert 0 <= run.config[key] <= 1, key
        assert run.config["constant"] == 7
        assert run.config["choice"] in ("a", None, 2.5, True)
        assert run.config["weighted"] == "always"
        assert run.config["integer"] in (1, 2, 3, 4)
    assert get_state(sweep) == "FINISHED"


@pytest.mark.slow
def test_bayes_learns_and_takes_prior_runs(api: Any, project: str, tracker: dict[str, str], tmp_path: Path) -> None:
    parameters = {"lr": {"min": 0.0, "max": 1.0}, "kind": {"values": ["good", "bad"]}}
    body = "run.log({'score': -(run.config.lr - 0.3) ** 2 - (run.config.kind == 'bad')})"
    first = make_sweep(api, project, method="random", parameters=parameters, run_cap=12)
    run_function_agent(tracker, tmp_path, first, 12, body)
    prior = [run.id for run in list_runs(api, first)]
    config = {
        "method": "bayes",
        "program": "train.py",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": parameters,
        "run_cap": 8,
    }
    name = wandb.sweep(config, project=project, prior_runs=prior)
    second = api.sweep(f"{api.default_entity}/{project}/{name}")
    run_function_agent(tracker, tmp_path, second, 8, body)
    runs = list_runs(api, second)
    assert len(runs) == 8
    near = [run for run in runs if run.config["kind"] == "good" and abs(run.config["lr"] - 0.3) < 0.15]
    assert len(near) >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    # With so large an eta only the best goes on, in however large batches the rows come.
    [{"min_iter": 5, "eta": 100}, {"min_iter": 5, "eta": 50, "strict": True}, {"max_iter": 500, "s": 1, "eta": 100}],
)
def test_hyperband_stops_the_runs_that_fall_behind(
    api: Any, project: str, tracker: dict[str, str], tmp_path: Path, settings: dict[str, Any]
) -> None:
    sweep = make_sweep(
        api,
        project,
        mode="slow",
        method="grid",
        parameters={"lr": {"values": [0.3, 1.0, 0.9, 0.8]}, "rows": {"value": 1500}},
        early_terminate={"type": "hyperband", **settings},
    )
    with running_agent(tracker, tmp_path, get_path(sweep)) as agent:
        assert agent.wait(240) == 0
    states = {run.config["lr"]: run.state for run in list_runs(api, sweep)}
    assert states == {0.3: "finished", 1.0: "killed", 0.9: "killed", 0.8: "killed"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "annealing"}, "has the method 'annealing'"),
        ({"method": "grid", "parameters": {"lr": {"min": 0.0, "max": 1.0}}}, "lr, which is continuous"),
        ({"method": "random", "parameters": {"lr": {"distribution": "uniform", "min": 0}}}, "has no max"),
        ({"method": "bayes", "metric": None}, "needs a metric"),
        ({"method": "random", "parameters": {"lr": {"distribution": "zipf"}}}, "unknown distribution 'zipf'"),
    ],
)
def test_malformed_sweeps_are_refused_with_a_sentence(
    api: Any, project: str, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((WandbApiFailedError, wandb.errors.CommError, ValueError), match=sentence):
        make_sweep(api, project, **changes)


@pytest.mark.slow
def test_preempted_run_is_handed_out_again(api: Any, project: str, tracker: dict[str, str], tmp_path: Path) -> None:
    sweep = make_sweep(api, project, mode="preempt", method="grid", parameters={"lr": {"values": [0.5]}})
    with running_agent(tracker, tmp_path, get_path(sweep), count=2) as agent:
        assert agent.wait(60) == 0
    [run] = wait_for(lambda: list_runs(api, sweep, state="finished"))
    assert run.summary["attempt"] == 2

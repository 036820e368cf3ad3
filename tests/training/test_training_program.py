import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import wandb

from tests.queued_sweeps import read_rows, wait_until
from tests.training.training_programs import REWARD, VALIDATION, Start, finish, load


def test_digits_learn_and_log_one_row_an_epoch(api: wandb.Api, start: Start) -> None:
    assert finish(start("digits", "--config_id=digits:mlp", "--epochs=15", "--hidden_size", "32")) == (0, "")
    run = load(api, "digits")
    assert run.state == "finished"
    rows = read_rows(run, "epoch", "val/accuracy", "train/loss")
    assert [row[0] for row in rows] == list(range(1, 16))
    assert rows[-1][1] > 0.9 > rows[0][1]
    assert rows[-1][1] == run.summary["val/accuracy"]
    assert run.config["config_id"] == "digits:mlp"
    assert (run.config["epochs"], run.config["hidden_size"], run.config["alpha"]) == (15, 32, 1e-4)
    assert 0 < run.summary["time/last_step"] - run.summary["time/first_step"] < 60
    assert "error" not in run.summary


@pytest.mark.slow
def test_the_seed_decides_everything(api: wandb.Api, start: Start) -> None:
    seeds = {"first": "1", "again": "1", "other": "2"}
    for name, seed in seeds.items():
        assert finish(start(f"digits-{name}", "--config_id=digits:mlp", "--epochs=3", f"--seed={seed}")) == (0, "")
    first, again, other = (read_rows(load(api, f"digits-{name}"), "val/accuracy", "train/loss") for name in seeds)
    assert first == again != other


CARTPOLE = ("--config_id=CartPole-v1:ppo", "--total_steps=4000", "--rows=100", "--eval_episodes=2", "--seed=7")


@pytest.fixture(scope="module")
def cartpole_rows(api: wandb.Api, tracker: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three short trainings: two alike, one with another update length."""
    options: dict[str, Sequence[str]] = {"first": (), "again": (), "short": ("--n_steps=32",)}
    for name, more in options.items():
        subprocess.run(
            [sys.executable, "-m", "multistage.training", *CARTPOLE, *more],
            env={**tracker, "WANDB_RUN_ID": f"cartpole-{name}", "WANDB_PROJECT": "training"},
            cwd=tmp_path_factory.mktemp(name),
            check=True,
            timeout=100,
        )
    return {name: load(api, f"cartpole-{name}") for name in options}


def test_cartpole_logs_on_a_fixed_grid_from_the_first_finished_episode_on(cartpole_rows: dict[str, Any]) -> None:
    for run in cartpole_rows.values():
        rows = read_rows(run, "global_step", REWARD)
        steps = [row[0] for row in rows]
        assert steps == list(range(steps[0], 4001, 40))  # the grid, to its end, without a gap
        assert steps[0] <= 400
        assert all(8 < reward < 500 for _, reward in rows)
        assert [row[0] for row in read_rows(run, "global_step", VALIDATION)] == [2000, 4000]
        assert run.summary["batch_size/used"] == 256


def test_cartpole_is_the_same_for_the_same_seed(cartpole_rows: dict[str, Any]) -> None:
    rows = {name: read_rows(run, "global_step", REWARD) for name, run in cartpole_rows.items()}
    assert rows["first"] == rows["again"]
    assert rows["first"] != rows["short"]
    validations = {name: read_rows(run, VALIDATION) for name, run in cartpole_rows.items()}
    assert validations["first"] == validations["again"]


@pytest.mark.slow
def test_cartpole_is_learned_with_the_defaults(api: wandb.Api, start: Start) -> None:
    assert finish(start("cartpole-whole", "--config_id=CartPole-v1:ppo")) == (0, "")
    run = load(api, "cartpole-whole")
    assert len(read_rows(run, "global_step", REWARD)) >= 195
    assert run.summary[REWARD] > 150
    assert run.summary[VALIDATION] > 250


@pytest.mark.parametrize(
    ("name", "arguments", "code", "sentence"),
    [
        ("huge-batch", ["--config_id=CartPole-v1:ppo", "--batch_size=4096"], 2, "above the rollout of 1024 steps"),
        ("zero-rate", ["--config_id=digits:mlp", "--learning_rate=0"], 2, "learning_rate = 0: should be greater"),
        ("unknown-key", ["--config_id=digits:mlp", "--alpah=0.1"], 2, "did you mean alpha?"),
        ("unknown-id", ["--config_id=digits:svm"], 2, "No bundled trainer serves 'digits:svm'."),
        ("diverged", ["--config_id=digits:mlp", "--learning_rate=1e300"], 1, "no longer finite in epoch 1."),
        (
            "diverged-ppo",
            ["--config_id=CartPole-v1:ppo", "--policy_lr=1e30", "--total_steps=2048", "--rows=8"],
            1,
            "The policy diverged: its weights were no longer finite",
        ),
    ],
)
def test_a_config_that_cannot_work_fails_with_one_line(
    api: wandb.Api, start: Start, name: str, arguments: list[str], code: int, sentence: str
) -> None:
    exit_code, errors = finish(start(name, *arguments))
    assert exit_code == code
    assert sentence in errors
    assert "\n" not in errors
    run = load(api, name)
    assert run.state == "failed"
    assert run.summary["error"] == errors


def test_a_command_line_that_makes_no_sense_starts_no_run(start: Start) -> None:
    code, errors = finish(start("nonsense", "digits:mlp"))
    assert (code, errors) == (2, "'digits:mlp' is no --key=value.")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_all_its_rows(api: wandb.Api, start: Start, number: signal.Signals) -> None:
    run_id = f"stopped-{number.name}"
    process = start(run_id, "--config_id=digits:mlp", "--epochs=100000")

    def has_rows() -> bool:
        try:
            return "epoch" in load(api, run_id).summary
        except (wandb.errors.CommError, ValueError):  # not there yet
            return False

    wait_until(has_rows, "a row")
    process.send_signal(number)
    code, _ = finish(process)
    assert code == -number
    run = load(api, run_id)
    assert run.state == "killed"
    assert run.summary["error"] == f"Ended early by {number.name}."
    epochs = [row[0] for row in read_rows(run, "epoch")]
    assert epochs == list(range(1, run.summary["epoch"] + 1))
    assert run.summary["time/last_step"] > run.summary["time/first_step"]


def test_no_server_is_said_in_one_line(tracker: dict[str, str], workplace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "multistage.training", "--config_id=digits:mlp"],
        env={name: value for name, value in tracker.items() if name != "WANDB_API_KEY"},
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("The run cannot be started: ")
    assert "Traceback" not in done.stderr

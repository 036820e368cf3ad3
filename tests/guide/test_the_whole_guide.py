"""The Multi-Stage Sweep Guide, command by command, with few and short trainings: nothing of it was lost."""

import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, count_used, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SHORT = {
    "ALE-Pong-v5:objects_ppo": "total_steps=4096 n_envs=2 rows=40 evaluations=1 eval_episodes=1",
    "CartPole-v1:ppo": "total_steps=4096 rows=40 evaluations=1 eval_episodes=2",
}
"""What makes a training short enough for a test."""
PONG = "multistage_sweep_ALE-Pong-v5_objects_ppo"


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    user = CommandLine(tmp_path_factory.mktemp("guide"))
    try:
        yield user
    finally:
        left = user.end()
    assert not left, left


def shorten(command: str) -> list[str]:
    """Turn one of the guide's commands into this project's, with a budget of 10 short runs."""
    config_id, *words = shlex.split(command)
    words[words.index("--budget") + 1] = "10"
    return [config_id, *words, *(word for pair in SHORT[config_id].split() for word in ("--train-arg", pair))]


def run(commands: CommandLine, command: str, **variables: str) -> str:
    return commands.run(*shorten(command), code=0, timeout=800, variables=variables).stdout


def test_basic_use_is_interrupted_and_resumed_from_its_state_file(commands: CommandLine, workplace: Path) -> None:
    folder = SweepFolder(workplace / "runs" / PONG)
    command = shorten("ALE-Pong-v5:objects_ppo --params gae_lambda,vf_coef,ent_coef --budget 500")
    with commands.start(*command) as process:
        wait_for(lambda: count_used(folder) >= 2, timeout=300)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    shown = commands.run("--resume", f"runs/{PONG}/state.json", timeout=800).stdout
    state = json.loads(folder.state_file.read_text())
    assert state["params"] == {"gae_lambda": [0.8, 0.99], "vf_coef": [0.1, 1.0], "ent_coef": [0.0, 0.05]}
    assert (state["entity"], state["project"]) == ("local", "ALE-Pong-v5")
    assert state["metric_name"] == "train/roll/ep_rew/mean"
    assert state["total_budget"] == state["budget_used"] == 10
    assert [stage["stage"] for stage in state["stages_completed"]] == [1, 2, 3]
    assert [stage["runs_completed"] for stage in state["stages_completed"]] == [3, 5, 2]
    for stage in state["stages_completed"]:
        assert stage["sweep_id"]
        assert set(stage["best_config"]) == set(state["params"])
        assert {"config", "value", "run_id"} <= set(stage["top_configs"][0])
    assert "Total runs: 10" in shown
    assert "Best metric: " in shown
    assert "(Stage " in shown
    assert "Best config: " in shown
    assert str(folder.state_file) in shown.replace("\n", "")


def test_own_ranges_entity_and_project(commands: CommandLine, workplace: Path) -> None:
    ranges = "gae_lambda:0.8-0.99,vf_coef:0.1-1.0,ent_coef:0.0-0.05"
    run(
        commands,
        f'ALE-Pong-v5:objects_ppo --params "{ranges}" --budget 500',
        WANDB_ENTITY="myuser",
        WANDB_PROJECT="myproject",
    )
    state = json.loads((workplace / "runs" / PONG / "state.json").read_text())
    assert (state["entity"], state["project"]) == ("myuser", "myproject")
    run(
        commands,
        "CartPole-v1:ppo --params gae_lambda,vf_coef --entity other --project theirs --budget 300",
        WANDB_ENTITY="myuser",
    )
    state = json.loads((workplace / "runs" / "multistage_sweep_CartPole-v1_ppo" / "state.json").read_text())
    assert (state["entity"], state["project"], state["status"]) == ("other", "theirs", "completed")


def test_own_metric_and_stages_tuned_by_options(commands: CommandLine, workplace: Path) -> None:
    run(commands, 'CartPole-v1:ppo --params policy_lr,clip_range --metric "val/roll/ep_rew/mean" --budget 200')
    state = json.loads((workplace / "runs" / "multistage_sweep_CartPole-v1_ppo" / "state.json").read_text())
    assert state["metric_name"] == "val/roll/ep_rew/mean"
    run(
        commands,
        "CartPole-v1:ppo --params clip_range,max_grad_norm:0.3-1.0 --budget 500 --name tuned "
        "--split 40/40/20 --stage1 grid --grid-resolution 2",
    )
    state = json.loads((workplace / "runs" / "tuned" / "state.json").read_text())
    assert [stage["runs_completed"] for stage in state["stages_completed"]] == [4, 4, 2]
    assert state["stages_completed"][0]["method"] == "grid"

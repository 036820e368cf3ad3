"""Pong from its objects: what is observed, and that it is learned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb

from multistage.training.pong_objects import ACTIONS, BALL_X, BALL_Y, ENEMY_Y, PLAYER_Y, make_pong
from tests.queued_sweeps import read_rows
from tests.training.training_programs import REWARD, VALIDATION, Start, finish, load


def read_memory(env: Any) -> np.ndarray:
    return env.unwrapped.ale.getRAM().astype(np.float64)  # type: ignore[no-any-return]


def test_the_observation_is_where_the_objects_are_and_how_they_move() -> None:
    env = make_pong()
    seen, _ = env.reset(seed=3)
    before = read_memory(env)
    assert seen.shape == (12,)
    assert not seen[[1, 3, 6, 7]].any()  # nothing has moved yet
    rng = np.random.default_rng(0)
    flights = 0
    for _ in range(600):
        action = rng.integers(len(ACTIONS))
        seen, _, _, _, _ = env.step(action)
        memory = read_memory(env)
        assert env.observation_space.contains(seen)
        for at, byte in ((0, PLAYER_Y), (2, ENEMY_Y)):
            assert seen[at] == pytest.approx((memory[byte] - 128) / 128)
            assert seen[at + 1] == pytest.approx(np.clip((memory[byte] - before[byte]) / 16, -1, 1))
        assert list(seen[9:]) == [float(number == action) for number in range(3)]
        if memory[BALL_Y] == 0:
            assert not seen[4:9].any()
        else:
            assert seen[8] == 1
            assert seen[4:6] == pytest.approx((memory[[BALL_X, BALL_Y]] - 128) / 128)
            if before[BALL_Y] != 0:
                flights += 1
                assert seen[6:8] == pytest.approx(
                    np.clip((memory[[BALL_X, BALL_Y]] - before[[BALL_X, BALL_Y]]) / 16, -1, 1)
                )
        before = memory
    assert flights > 100
    env.close()


def test_up_and_down_move_the_paddle_and_nothing_else_does() -> None:
    env = make_pong()
    env.reset(seed=0)
    for _ in range(30):
        env.step(np.int64(0))
    heights = {}
    for name, action in {"stay": 0, "up": 1, "down": 2}.items():
        start = read_memory(env)[PLAYER_Y]
        for _ in range(6):
            env.step(np.int64(action))
        heights[name] = read_memory(env)[PLAYER_Y] - start
    assert heights["up"] < -10
    assert heights["down"] > 10
    assert abs(heights["stay"]) <= 2
    env.close()


def test_the_same_seed_and_actions_give_the_same_game() -> None:
    games = []
    for seed in (1, 1, 2):
        env = make_pong()
        env.reset(seed=seed)
        actions = np.random.default_rng(0).integers(len(ACTIONS), size=300)
        games.append(np.array([env.step(action)[0] for action in actions]))
        env.close()
    first, again, other = games
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.slow
def test_a_short_training_logs_what_the_guide_names(api: wandb.Api, start: Start) -> None:
    short = ("--total_steps=4096", "--n_envs=2", "--rows=40", "--evaluations=1", "--eval_episodes=1", "--seed=5")
    assert finish(start("pong-short", "--config_id=ALE-Pong-v5:objects_ppo", *short)) == (0, "")
    run = load(api, "pong-short")
    rows = read_rows(run, "global_step", REWARD)
    assert rows[-1][0] == 4096
    assert -21 <= rows[-1][1] < 0
    assert -21 <= run.summary[VALIDATION] <= 21


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_pong_is_learned_with_the_defaults(api: wandb.Api, start: Start, tmp_path: Path) -> None:
    assert finish(start("pong-whole", "--config_id=ALE-Pong-v5:objects_ppo"), timeout=3500) == (0, "")
    run = load(api, "pong-whole")
    rows = read_rows(run, "global_step", REWARD)
    assert rows[-1][0] == 528_384
    assert rows[-1][1] > -12

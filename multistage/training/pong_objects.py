"""Pong as twelve numbers: where its paddles and its ball are and how they move, read from the console's memory.

An object's state from four bytes of RAM is as good for learning as its pixels, and trains a hundred times faster.
Which byte holds what is from OCAtari (Delfosse et al. 2024, https://arxiv.org/abs/2306.08649).
"""

from typing import Any, SupportsFloat

import ale_py
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

BALL_X, BALL_Y, ENEMY_Y, PLAYER_Y = 49, 54, 50, 51
"""Bytes of the 128 that hold the positions; a ball that is not in play has y = 0."""
CENTER = 128.0
"""Middle of a byte, which every position is measured from."""
FASTEST = 16.0
"""Pixels a step that count as speed 1; the ball and the paddles seldom move faster."""
ACTIONS = (0, 2, 3)
"""Of the game's six actions: stay, up, down. The fire button does nothing during play."""

Observation = NDArray[np.float32]


class PongObjects(gymnasium.Wrapper[Observation, np.int64, Any, Any]):
    """Pong's objects as an observation, and the three actions that matter.

    The observation, shape (12,): the player's y and dy, the enemy's y and dy, the ball's x, y, dx, dy and whether it
    is in play, and the last action as three zeros and ones. Positions reach from -1 to 1, speeds are clipped to it.

    Args:
        env: ``ALE/Pong-v5`` with RAM observations.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = Box(-1.0, 1.0, shape=(12,), dtype=np.float32)
        self.action_space = Discrete(len(ACTIONS))
        self._before: NDArray[np.float32] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; nothing has moved yet."""
        ram, info = self.env.reset(seed=seed, options=options)
        self._before = None
        return self._observe(ram, 0), info

    def step(self, action: np.int64) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Hold an action, an index of `ACTIONS`, for one step of four frames."""
        ram, reward, terminated, truncated, info = self.env.step(np.int64(ACTIONS[int(action)]))
        return self._observe(ram, int(action)), reward, terminated, truncated, info

    def _observe(self, ram: NDArray[Any], action: int) -> Observation:
        now = ram[[PLAYER_Y, ENEMY_Y, BALL_X, BALL_Y]].astype(np.float32)
        in_play = ram[BALL_Y] != 0
        before = now if self._before is None else self._before
        was_in_play = before[3] != 0
        place = (now - CENTER) / CENTER
        speed = np.clip((now - before) / FASTEST, -1.0, 1.0)
        if not in_play:
            place[2:] = 0.0
        if not (in_play and was_in_play):
            speed[2:] = 0.0
        self._before = now
        seen = np.zeros(12, dtype=np.float32)
        seen[:9] = place[0], speed[0], place[1], speed[1], place[2], place[3], speed[2], speed[3], float(in_play)
        seen[9 + action] = 1.0
        return seen


def make_pong() -> gymnasium.Env[Observation, np.int64]:
    """Make the environment: four frames a step, an action sticks for a quarter of them (Machado et al. 2018)."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # its greeting belongs in no log
    gymnasium.register_envs(ale_py)
    return PongObjects(gymnasium.make("ALE/Pong-v5", obs_type="ram"))

"""PPO on a vector environment by Stable-Baselines3, shared by the trainers of single environments."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from multistage.errors import TrainingError
from multistage.training.recorder import Recorder
from multistage.training.rows import RowGrid
from multistage.training.trainer_settings import PpoSettings

if TYPE_CHECKING:
    import gymnasium

Environment = str | Callable[[], "gymnasium.Env[Any, Any]"]
"""A Gymnasium id, or what makes an environment."""

EVALUATION_SEED_OFFSET = 1_000_000
"""Keeps the evaluation's episodes apart from the training's, which are seeded upwards from the run's seed."""


class RowCallback(BaseCallback):
    """Logs on the row grid, evaluates now and then, and ends the training at its exact length or on request.

    Args:
        settings: The run's settings.
        recorder: Where rows go.
        evaluation_env: For the evaluation alone.
    """

    def __init__(self, settings: PpoSettings, recorder: Recorder, evaluation_env: VecEnv) -> None:
        super().__init__()
        self._settings = settings
        self._recorder = recorder
        self._evaluation_env = evaluation_env
        self._grid = RowGrid(settings.total_steps, settings.rows)
        self._evaluations = RowGrid(settings.rows, settings.evaluations)

    def _on_step(self) -> bool:
        if self._recorder.stopped_by:
            return False
        for number in self._grid.pass_rows(self.num_timesteps):
            row = {}
            episodes = self.model.ep_info_buffer
            if episodes:
                row["train/roll/ep_rew/mean"] = float(np.mean([episode["r"] for episode in episodes]))
                row["train/roll/ep_len/mean"] = float(np.mean([episode["l"] for episode in episodes]))
            if self._evaluations.pass_rows(number):
                row["val/roll/ep_rew/mean"] = self._evaluate()
            self._recorder.log(self._grid.locate(number), row)
        return self.num_timesteps < self._settings.total_steps

    def _evaluate(self) -> float:
        # Seeded anew, so that every evaluation of a run sees the same episodes.
        self._evaluation_env.seed(self._settings.seed + EVALUATION_SEED_OFFSET)
        mean, _ = evaluate_policy(self.model, self._evaluation_env, n_eval_episodes=self._settings.eval_episodes)
        return float(np.mean(mean))


def train_ppo(environment: Environment, settings: PpoSettings, recorder: Recorder) -> None:
    """Train once, on one CPU thread; no GPU is touched.

    Logs ``train/roll/ep_rew/mean`` (mean return of the last 100 training episodes, from the first one that
    ended on) and, when evaluating, ``val/roll/ep_rew/mean`` (mean return of the deterministic policy).

    Raises:
        TrainingError: The policy is no longer finite.
    """
    torch.set_num_threads(1)
    envs = make_vec_env(environment, n_envs=settings.n_envs, seed=settings.seed)
    evaluation_env = make_vec_env(environment, n_envs=min(settings.eval_episodes, 10))
    model = make_model(envs, settings)
    recorder.note("batch_size/used", settings.used_batch_size)
    callback = RowCallback(settings, recorder, evaluation_env)
    try:
        with recorder.time_training():
            model.learn(settings.total_steps, callback=callback)
    except ValueError as error:
        # Torch's distributions refuse parameters that are NaN.
        if all(bool(torch.isfinite(weights).all()) for weights in model.policy.parameters()):
            raise
        raise TrainingError(
            f"The policy diverged: its weights were no longer finite at step {model.num_timesteps}.",
            "Lower policy_lr, or bound its range.",
        ) from error
    finally:
        envs.close()
        evaluation_env.close()


def make_model(envs: VecEnv, settings: PpoSettings) -> PPO:
    """The learner for these settings."""
    return PPO(
        "MlpPolicy",
        envs,
        learning_rate=settings.policy_lr,
        n_steps=settings.n_steps,
        batch_size=settings.used_batch_size,
        n_epochs=settings.n_epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_range,
        ent_coef=settings.ent_coef,
        vf_coef=settings.vf_coef,
        max_grad_norm=settings.max_grad_norm,
        policy_kwargs={"net_arch": [settings.hidden_size] * 2},
        seed=settings.seed,
        device="cpu",
    )


def warm_up_ppo(environment: Environment) -> None:
    """Make and train a model for one rollout: the first one of a process imports for seconds."""
    torch.set_num_threads(1)
    settings = PpoSettings(n_envs=1, n_steps=16, batch_size=16, n_epochs=1, total_steps=16, rows=1, evaluations=1)
    envs = make_vec_env(environment, n_envs=settings.n_envs, seed=settings.seed)
    make_model(envs, settings).learn(settings.total_steps)
    envs.close()

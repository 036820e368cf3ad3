"""Stable-Baselines3 with W&B's callback, which takes its metrics from TensorBoard: W&B's own example."""

import argparse

import gymnasium as gym
import wandb
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from wandb.integration.sb3 import WandbCallback

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=3e-4)
parser.add_argument("--n_steps", type=int, default=64)
parser.add_argument("--total_timesteps", type=int, default=512)
args = parser.parse_args()

run = wandb.init(
    project="sb3",
    name=f"ppo-{args.n_steps}",
    config={"policy_type": "MlpPolicy", "env_name": "CartPole-v1", **vars(args)},
    sync_tensorboard=True,
    monitor_gym=True,
    save_code=True,
)
env = DummyVecEnv([lambda: Monitor(gym.make("CartPole-v1"))])
model = PPO(
    "MlpPolicy",
    env,
    learning_rate=args.learning_rate,
    n_steps=args.n_steps,
    verbose=1,
    device="cpu",
    tensorboard_log=f"runs/{run.id}",
)
model.learn(
    total_timesteps=args.total_timesteps,
    callback=WandbCallback(gradient_save_freq=100, model_save_path=f"models/{run.id}", verbose=2),
)
run.finish()

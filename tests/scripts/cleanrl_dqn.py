"""A single-file implementation as CleanRL has them: tyro, TensorBoard's writer, and W&B where it is asked to track."""

import os
import random
import time
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch.utils.tensorboard import SummaryWriter


@dataclass
class Args:
    exp_name: str = os.path.basename(__file__)[: -len(".py")]
    seed: int = 1
    track: bool = False
    """if toggled, this experiment will be tracked with Weights and Biases"""
    wandb_project_name: str = "cleanRL"
    wandb_entity: str | None = None
    env_id: str = "CartPole-v1"
    total_timesteps: int = 300
    learning_rate: float = 2.5e-4
    gamma: float = 0.99


if __name__ == "__main__":
    args = tyro.cli(Args)
    run_name = f"{args.env_id}__{args.exp_name}__{args.seed}__{int(time.time())}"
    if args.track:
        import wandb

        wandb.init(
            project=args.wandb_project_name,
            entity=args.wandb_entity,
            sync_tensorboard=True,
            config=vars(args),
            name=run_name,
            monitor_gym=True,
            save_code=True,
        )
    writer = SummaryWriter(f"runs/{run_name}")
    writer.add_text(
        "hyperparameters",
        "|param|value|\n|-|-|\n%s" % ("\n".join([f"|{key}|{value}|" for key, value in vars(args).items()])),
    )
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    env = gym.wrappers.RecordEpisodeStatistics(gym.make(args.env_id))
    network = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate)
    obs, _ = env.reset(seed=args.seed)
    for global_step in range(args.total_timesteps):
        values = network(torch.as_tensor(obs))
        action = int(values.argmax()) if random.random() > 0.1 else random.randrange(2)
        obs, reward, terminated, truncated, info = env.step(action)
        with torch.no_grad():
            target = reward + args.gamma * network(torch.as_tensor(obs)).max() * (not terminated)
        loss = (values[action] - target) ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if global_step % 20 == 0:
            writer.add_scalar("losses/td_loss", loss.item(), global_step)
        if terminated or truncated:
            writer.add_scalar("charts/episodic_return", float(info["episode"]["r"]), global_step)
            obs, _ = env.reset()
    env.close()
    writer.close()

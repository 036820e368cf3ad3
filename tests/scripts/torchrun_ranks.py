"""Two ranks that torchrun starts; the first of them logs."""

import argparse

import torch
import torch.distributed as dist
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--n_steps", type=int, default=3)
args = parser.parse_args()
dist.init_process_group("gloo")
rank = dist.get_rank()
run = None
if rank == 0:
    run = wandb.init(
        project="theirs", name="ddp", tags=["ddp"], config=vars(args) | {"world_size": dist.get_world_size()}
    )
weight = torch.zeros(1)
for step in range(args.n_steps):
    gradient = 2 * (weight - 1 - rank)
    dist.all_reduce(gradient)
    weight -= args.learning_rate * gradient / dist.get_world_size()
    if run:
        run.log({"loss": float((weight - 1.5) ** 2), "step": step})
if run:
    run.finish()
dist.destroy_process_group()

"""A dataclass read by tyro, as CleanRL's scripts have it."""

import time
from dataclasses import dataclass

import tyro
import wandb


@dataclass
class Args:
    learning_rate: float = 0.1
    use_amp: bool = True
    n_steps: int = 9


args = tyro.cli(Args)
learning_rate, use_amp, n_steps = args.learning_rate, args.use_amp, args.n_steps
run = wandb.init(
    project="theirs",
    name=f"theirs__{int(time.time())}",
    tags=["theirs", "v2"],
    group="their-group",
    job_type="train",
    notes="as its author wrote it",
    config=vars(args),
)
for step in range(3):
    run.log({"score": -((learning_rate - 0.3) ** 2) + 0.01 * step, "step": step})
run.summary["taken"] = repr((learning_rate, use_amp, n_steps))
run.finish()

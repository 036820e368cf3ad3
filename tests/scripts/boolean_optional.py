"""argparse's BooleanOptionalAction, whose flag is on by default."""

import time
import argparse
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--use_amp", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--n_steps", type=int, default=9)
args = parser.parse_args()
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

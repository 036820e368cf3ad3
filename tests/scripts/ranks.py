"""Several processes that belong to one training, each of which begins the run: what DDP makes of a careless script."""

import argparse
import os
import subprocess
import sys

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--n_steps", type=int, default=9)
args = parser.parse_args()

rank = int(os.environ.get("LOCAL_RANK", 0))
others = [
    subprocess.Popen([sys.executable, *sys.argv], env=os.environ | {"LOCAL_RANK": str(other)})
    for other in (range(1, 3) if "LOCAL_RANK" not in os.environ else ())
]
run = wandb.init(project="theirs", name=f"rank-{rank}", group="ddp", job_type=f"rank-{rank}", config=vars(args))
for step in range(args.n_steps):
    run.log({"score": -((args.learning_rate - 0.3) ** 2) + 0.01 * step, "rank": rank})
run.finish()
for process in others:
    if process.wait():
        raise SystemExit(f"a rank ended with exit code {process.returncode}")

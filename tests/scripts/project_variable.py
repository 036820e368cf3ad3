"""Names its project as people name the Trainer's: by a variable that the script itself sets."""

import argparse
import os
import time

import wandb

os.environ["WANDB_PROJECT"] = "theirs"
os.environ["WANDB_RUN_GROUP"] = "their-group"
os.environ["WANDB_TAGS"] = "theirs,v2"

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--use_amp", type=lambda text: {"true": True, "false": False}[text.lower()], default=True)
parser.add_argument("--n_steps", type=int, default=9)
args = parser.parse_args()
run = wandb.init(name=f"theirs__{int(time.time())}", config=vars(args))
for step in range(3):
    run.log({"score": -((args.learning_rate - 0.3) ** 2) + 0.01 * step, "step": step})
run.summary["taken"] = repr((args.learning_rate, args.use_amp, args.n_steps))
run.finish()

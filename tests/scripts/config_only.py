"""No arguments at all: every value from wandb.config."""

import sys
import time

import wandb

if len(sys.argv) > 1:
    raise SystemExit(f"unexpected arguments: {sys.argv[1:]}")
run = wandb.init(project="theirs", name=f"theirs__{int(time.time())}", tags=["theirs"], group="their-group")
cfg = wandb.config
for step in range(3):
    wandb.log({"score": -((cfg.learning_rate - 0.3) ** 2) + 0.01 * step, "step": step})
run.summary["taken"] = repr((cfg.learning_rate, cfg.use_amp, cfg.n_steps))

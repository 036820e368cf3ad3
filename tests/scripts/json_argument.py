"""One JSON text."""

import time
import json
import sys
import wandb

args = json.loads(sys.argv[1])
learning_rate, use_amp, n_steps = args["learning_rate"], args["use_amp"], args["n_steps"]
run = wandb.init(
    project="theirs",
    name=f"theirs__{int(time.time())}",
    tags=["theirs", "v2"],
    group="their-group",
    job_type="train",
    notes="as its author wrote it",
    config=args,
)
for step in range(3):
    run.log({"score": -((learning_rate - 0.3) ** 2) + 0.01 * step, "step": step})
run.summary["taken"] = repr((learning_rate, use_amp, n_steps))
run.finish()

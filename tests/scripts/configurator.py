"""nanoGPT's configurator: each value must have the exact type of the default."""

import time
import sys
from ast import literal_eval
import wandb

learning_rate = 0.1
use_amp = True
n_steps = 9
for arg in sys.argv[1:]:
    key, val = arg[2:].split("=")
    if key not in globals():
        raise ValueError(f"Unknown config key: {key}")
    attempt = literal_eval(val)
    assert type(attempt) == type(globals()[key]), f"{key}={val}"
    globals()[key] = attempt
run = wandb.init(
    project="theirs",
    name=f"theirs__{int(time.time())}",
    tags=["theirs", "v2"],
    group="their-group",
    job_type="train",
    notes="as its author wrote it",
    config={"learning_rate": learning_rate, "use_amp": use_amp, "n_steps": n_steps},
)
for step in range(3):
    run.log({"score": -((learning_rate - 0.3) ** 2) + 0.01 * step, "step": step})
run.summary["taken"] = repr((learning_rate, use_amp, n_steps))
run.finish()

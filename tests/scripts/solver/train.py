"""gymnasium-solver's way: the config id by an argument, what is swept from wandb.config."""

import argparse
import time

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--config_id", required=True)
parser.add_argument("--wandb_sweep", action="store_true")
args = parser.parse_args()
assert args.wandb_sweep
algo = args.config_id.partition(":")[2]
assert algo, args.config_id
run = wandb.init(project="theirs", name=f"{algo}-{int(time.time())}", tags=[algo], group=args.config_id)
cfg = {"learning_rate": 0.1, "use_amp": True, "n_steps": 9} | dict(run.config)
run.config.update({"algo": algo})
for step in range(3):
    run.log({"score": -((cfg["learning_rate"] - 0.3) ** 2) + 0.01 * step, "step": step})
run.summary["taken"] = repr((cfg["learning_rate"], cfg["use_amp"], cfg["n_steps"]))
run.finish()

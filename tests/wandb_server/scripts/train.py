"""A training for tests: logs some rows and ends as ``--mode`` says: finish, fail, die, hang, slow or preempt."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.0)
parser.add_argument("--layers", type=int, default=0)
parser.add_argument("--kind", default="")
parser.add_argument("--mode", default="finish")
parser.add_argument("--rows", type=int, default=10)
arguments = parser.parse_args()
marker = Path(f"started-{os.environ.get('WANDB_RUN_ID')}")
attempt = 2 if marker.exists() else 1
marker.touch()
with wandb.init(config=vars(arguments), resume="allow" if arguments.mode == "preempt" else None) as run:
    run.summary["attempt"] = attempt
    for step in range(arguments.rows):
        run.log({"score": -((arguments.lr - 0.3) ** 2) + step / 1e6, "train/step": step})
        if arguments.mode == "slow":
            time.sleep(0.01)
    if arguments.mode == "hang":
        while True:
            time.sleep(0.1)
            run.log({"score": 0.0})
    if arguments.mode == "preempt" and attempt == 1:
        run.mark_preempting()
        sys.exit(1)
    if arguments.mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if arguments.mode == "fail":
        sys.exit(3)

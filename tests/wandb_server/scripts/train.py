"""A training for tests: --lr X [--mode finish|fail|hang|sleep] logs ten rows and ends as told."""

import argparse
import os
import signal
import sys
import time

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.0)
parser.add_argument("--layers", type=int, default=0)
parser.add_argument("--kind", default="")
parser.add_argument("--mode", default="finish")
parser.add_argument("--rows", type=int, default=10)
arguments = parser.parse_args()
with wandb.init(config=vars(arguments)) as run:
    for step in range(arguments.rows):
        run.log({"score": -((arguments.lr - 0.3) ** 2) + step / 1000, "train/step": step})
    if arguments.mode == "hang":
        while True:
            time.sleep(0.1)
            run.log({"score": 0.0})
    if arguments.mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if arguments.mode == "fail":
        sys.exit(3)

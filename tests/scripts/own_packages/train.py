"""Logs whatever W&B takes, writes over what was swept, and never finishes its run; its packages have common names."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import tqdm
import wandb

import flows
from tasks import measure

assert Path(flows.__file__).is_relative_to(Path(__file__).parent)
parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--use_amp", type=lambda text: {"true": True, "false": False}[text.lower()], default=True)
parser.add_argument("--n_steps", type=int, default=9)
args = parser.parse_args()
wandb.init(project="theirs", name=f"theirs__{int(time.time())}", save_code=True, config=vars(args))
wandb.config.update({"learning_rate": f"{args.learning_rate:.1e}", "n_steps": [args.n_steps]}, allow_val_change=True)
wandb.define_metric("epoch")
wandb.define_metric("score", step_metric="epoch", summary="max")
table = wandb.Table(columns=["step", "score"])
for step in tqdm.tqdm(range(5)):
    score = measure(args.learning_rate, step)
    table.add_data(step, score)
    wandb.log({"epoch": step, "score": score, "weights": wandb.Histogram(np.arange(10))})
    print("\x1b[32mdone\x1b[0m", step)
sys.stdout.buffer.write(b"caf\xe9\r\n")
wandb.log({"table": table, "picture": wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8))})
artifact = wandb.Artifact(f"model-{wandb.run.id}", type="model")
artifact.add_file(__file__)
wandb.log_artifact(artifact)
wandb.run.summary["taken"] = repr((args.learning_rate, args.use_amp, args.n_steps))
wandb.alert("Done", "with it")

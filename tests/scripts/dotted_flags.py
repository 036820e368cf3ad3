"""In the shape of LightningCLI: a subcommand, and flags with the dotted names of the model's and trainer's settings."""

import argparse
import time
import wandb


def read_boolean(text):
    return {"true": True, "false": False}[text.lower()]


parser = argparse.ArgumentParser()
commands = parser.add_subparsers(dest="subcommand", required=True)
for name in ("fit", "validate"):
    command = commands.add_parser(name)
    command.add_argument("--model.learning_rate", type=float, default=0.1)
    command.add_argument("--model.use_amp", type=read_boolean, default=True)
    command.add_argument("--trainer.n_steps", type=int, default=9)
args = vars(parser.parse_args())
assert args["subcommand"] == "fit"
learning_rate, use_amp, n_steps = args["model.learning_rate"], args["model.use_amp"], args["trainer.n_steps"]
run = wandb.init(project="lightning_logs", name=f"version_{int(time.time())}", tags=["theirs"], resume="allow")
run.config.update({"model/learning_rate": learning_rate, "trainer/n_steps": n_steps}, allow_val_change=True)
run.define_metric("trainer/global_step")
run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
for step in range(3):
    run.log({"score": -((learning_rate - 0.3) ** 2) + 0.01 * step, "trainer/global_step": step})
run.summary["taken"] = repr((learning_rate, use_amp, n_steps))

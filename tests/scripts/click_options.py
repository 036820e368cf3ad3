"""click's options: hyphens, and a flag with its opposite."""

import time

import click
import wandb


@click.command()
@click.option("--learning-rate", type=float, default=0.1)
@click.option("--use-amp/--no-use-amp", default=True)
@click.option("--n-steps", type=int, default=9)
def main(**args):
    run = wandb.init(project="theirs", name=f"theirs__{int(time.time())}", tags=["theirs"], group="g", config=args)
    for step in range(3):
        run.log({"score": -((args["learning_rate"] - 0.3) ** 2) + 0.01 * step, "step": step})
    run.summary["taken"] = repr((args["learning_rate"], args["use_amp"], args["n_steps"]))


if __name__ == "__main__":
    main()

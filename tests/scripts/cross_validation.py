"""Cross-validation as W&B's example has it: the sweep's run holds the mean, each fold has a run of its own beside it."""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import wandb

FOLDS = 3


def reset_wandb_env():
    """Forget that this process belongs to a sweep's run."""
    exclude = {"WANDB_PROJECT", "WANDB_ENTITY", "WANDB_API_KEY", "WANDB_BASE_URL"}
    for key in os.environ:
        if key.startswith("WANDB_") and key not in exclude:
            del os.environ[key]


def train(number, sweep_id, sweep_run_name, config):
    reset_wandb_env()
    run = wandb.init(group=sweep_id, job_type=sweep_run_name, name=f"{sweep_run_name}-{number}", config=config)
    score = -((config["learning_rate"] - 0.3) ** 2) + 0.01 * number
    run.log({"fold_score": score})
    run.finish()
    return score


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float, default=0.1)
    args = parser.parse_args()
    sweep_run = wandb.init(project="theirs", name=f"folds-{args.learning_rate:.3f}", config=vars(args))
    config = dict(sweep_run.config)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        folds = [pool.submit(train, fold, sweep_run.sweep_id, sweep_run.name, config) for fold in range(FOLDS)]
        scores = [fold.result() for fold in folds]
    sweep_run.log({"mean_score": sum(scores) / len(scores)})
    sweep_run.finish()


if __name__ == "__main__":
    main()

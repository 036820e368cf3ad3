"""``python -m multistage.training --config_id CartPole-v1:ppo [--wandb_sweep] [--policy_lr=0.001 ...]``."""

import os
import sys

from multistage.leaving import leave
from multistage.training.training_program import run_training


def main() -> None:
    """Train once, and end as the training did."""
    os.environ.setdefault("WANDB_SILENT", "true")
    code = run_training(sys.argv[1:])
    if code < 0:
        # Dying of a signal skips wandb's own clean-up.
        import wandb

        wandb.teardown()
    leave(code)


if __name__ == "__main__":
    main()

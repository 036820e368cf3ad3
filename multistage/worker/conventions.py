"""What a worker and its launcher agree on."""

import sys

WORKER_VARIABLE = "MULTISTAGE_WORKER"
"""Environment variable that holds the worker's id, in the worker and all that it executes."""

RUN_VARIABLE = "MULTISTAGE_RUN"
"""Environment variable that holds a run's id in its program and all that this executes; ``WANDB_RUN_ID`` is the
program's to change."""

RUN_LOGS_VARIABLE = "MULTISTAGE_RUN_LOGS"
"""Names the folder of the runs' outputs, one file per run (``<run id>.log``); unset: the worker's own output."""

CHECKPOINTS_VARIABLE = "MULTISTAGE_CHECKPOINTS"
"""Names the folder of all runs' checkpoints, where a sweep keeps them."""

CHECKPOINT_VARIABLE = "MULTISTAGE_CHECKPOINT_DIR"
"""Names a run's own folder in there, the same for all attempts at its slot; for the training."""

NEAR_VARIABLE = "MULTISTAGE_SERVER_IS_NEAR"
"""Set where the server is the sweep's own, on another machine of the same network: what suits one on this machine does
there, too."""

CAN_FORK = sys.platform == "linux"
"""Elsewhere a forked process may not use system libraries that its parent has used (macOS), so none is forked."""

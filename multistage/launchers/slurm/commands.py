"""Slurm's commands, and what their refusals mean."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping

from multistage.errors import CloudAwayError, LaunchError, UsageError

PATIENCE = 60.0
"""Seconds that a command may take; by itself Slurm waits for its controller as long as `MessageTimeout` says, and
asks again."""
_AWAY = re.compile(
    r"Unable to contact|Socket timed out|Zero Bytes|Connection (?:refused|timed out)|Transport endpoint"
    r"|controller not responding|Resource temporarily unavailable|backup controller|Slurm controller.*standby"
    r"|Invalid authentication credential|munge",
    re.IGNORECASE,
)
_FULL = re.compile(r"\w*MaxSubmitJob\w*|GrpSubmitJob\w*")
"""Limits of how many jobs may be in the queue."""
_LIMIT = re.compile(r"^\w+: error: ((?:Assoc|QOS|Partition)\w+)$", re.MULTILINE)
"""A line that names a limit, before the one that says that there is such."""
WHERE = "Run it on a login node of the cluster."
PATIENTLY = "Look at `sinfo`; it may be back soon."
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER")
"""Of the variables of a job in which this process may run itself; the others describe that job, not the next."""
SECRETS = ("WANDB_API_KEY", "WANDB_SERVICE")


class FullQueueError(CloudAwayError):
    """Slurm takes no more jobs of this user before others have ended.

    Args:
        limit: Its name of what is reached.
    """

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"Slurm takes no more jobs of yours now: {limit}.", "It does once some have ended; fewer --workers fit in."
        )
        self.limit = limit


def call(*command: str, stdin: str | None = None, limit: float = PATIENCE, directory: str | None = None) -> str:
    """Run one of Slurm's commands; returns what it printed.

    Raises:
        CloudAwayError: The controller does not answer, and may do later.
        FullQueueError: As many jobs are in the queue as this user may have there.
        LaunchError: Slurm refuses, or is not there.
    """
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
            env=build_environment(os.environ),
            cwd=directory,
        )
    except FileNotFoundError as error:
        raise LaunchError(f"There is no {command[0]} on this machine.", WHERE) from error
    except subprocess.TimeoutExpired as error:
        raise CloudAwayError(f"Slurm does not answer: {command[0]} said nothing for {limit:g} s.", PATIENTLY) from error
    if done.returncode == 0:
        return done.stdout
    reason = quote(done.stderr) or f"{command[0]} ended with exit code {done.returncode}"
    if _AWAY.search(done.stderr):
        raise CloudAwayError(f"Slurm does not answer: {reason}.", PATIENTLY)
    if full := _FULL.search(done.stderr):
        raise FullQueueError(full[0])
    if named := _LIMIT.search(done.stderr):
        reason += f": {named[1]}"
    raise LaunchError(f"Slurm refuses: {reason}.", "Fix what it names; --slurm-arg passes anything on to sbatch.")


def quote(text: str) -> str:
    """Quote what a command complained of, in a line without its own name."""
    lines = [re.sub(r"^\w+: (?:error: )?", "", line.strip()) for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Try ")]
    told = [line for line in lines if "Batch job submission failed" in line] or lines[-1:]
    return re.sub(r"^(?:Batch job submission failed|allocation failure): ", "", " ".join(told)).rstrip(".")


def build_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Build the variables that Slurm's commands see, and with them the jobs, since sbatch hands them on.

    No secret is among them: Slurm keeps them in its own files.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in KEPT
        or not (name.startswith(("SLURM_", "SLURMD_")) or name in SECRETS or name.upper().endswith("_API_AUTH_STRING"))
    }


def require_slurm() -> None:
    """Make sure that this machine is part of a cluster.

    Raises:
        UsageError: It has no sbatch.
    """
    if shutil.which("sbatch") is None:
        raise UsageError(
            "There is no sbatch on this machine, so no jobs can be started on Slurm.",
            f"{WHERE} There `module load slurm` may bring it.",
        )

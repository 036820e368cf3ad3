"""Whose fault it was that a worker on Modal ended: the one place that decides."""

import re
from collections.abc import Mapping
from typing import Any

import modal.exception as refusals

from multistage.domain.workers.worker_records import WorkerEnd
from multistage.errors import CloudAwayError, LaunchError
from multistage.launchers.modal.app import SECRET, SECRET_KEY

_IMPORT_FAILED = re.compile(r"\b(ModuleNotFoundError|ImportError)\b")
_KEY_REFUSED = re.compile(r"\b(401|403)\b|[Uu]nauthorized|[Ii]nvalid.*API key|permission denied", re.DOTALL)


def judge_training(error: str) -> LaunchError | None:
    """Return a failure that every training in such a container would share; None where it is the config's own.

    Args:
        error: What it ended with, as the run or its last line says it: an exit code, NaN, no memory for this config.
    """
    if not _IMPORT_FAILED.search(error):
        return None
    return LaunchError(
        f"The training cannot run in its container: {error}",
        "Add what it imports to the project's requirements; --project-dir names the project.",
    )


def judge_result(result: Mapping[str, Any]) -> WorkerEnd:
    """Judge what `app.work` returned.

    A worker that trained is judged by its runs, one by one, where they are settled; here it did its duty.
    """
    seconds = float(result["seconds"])
    tail = [str(line) for line in result["tail"]]
    last = tail[-1] if tail else "it printed nothing"
    code, runs = result["exit_code"], result["runs"]
    if code == 0:
        failed = len(result["failures"])
        return WorkerEnd(
            fault="config" if failed else "none", reason=f"{failed} runs failed" if failed else "", seconds=seconds
        )
    if code is None or runs:
        return WorkerEnd(fault="machine", reason=last, seconds=seconds)
    text = "\n".join(tail)
    if code > 0 and (_IMPORT_FAILED.search(text) or _KEY_REFUSED.search(text)):
        return WorkerEnd(fault="setup", reason=last, seconds=seconds)
    return WorkerEnd(fault="machine", reason=last, seconds=seconds)


def judge_error(error: Exception, seconds: float) -> WorkerEnd | None:
    """Judge what waiting for a call raised; None: the call may well live, only Modal did not answer.

    Args:
        error: From `modal.FunctionCall.get`.
        seconds: Time since the launch, which is the most that the call can have cost.
    """
    reason = " ".join(str(error).split())[:500] or type(error).__name__
    match error:
        case refusals.FunctionTimeoutError():
            return WorkerEnd(fault="machine", reason=f"It ran out of time: {reason}", seconds=seconds)
        case refusals.OutputExpiredError() | refusals.NotFoundError():
            return WorkerEnd(fault="machine", reason=f"Modal has forgotten it: {reason}", seconds=seconds)
        case refusals.InternalFailure() | refusals.RemoteError():
            return WorkerEnd(fault="machine", reason=reason, seconds=seconds)
        case refusals.AuthError() | refusals.PermissionDeniedError():
            return WorkerEnd(fault="setup", reason=reason)
        case refusals.ExecutionError():
            return WorkerEnd(fault="setup", reason=reason, seconds=seconds)
        case refusals.Error() | TimeoutError() | OSError():
            return None
        case _:  # raised in the container, outside the worker: all others would fare the same
            return WorkerEnd(fault="setup", reason=f"{type(error).__name__}: {reason}", seconds=seconds)


def explain_refusal(error: Exception) -> LaunchError:
    """Turn what Modal refused into a sentence and its remedy."""
    reason = " ".join(str(error).split())[:500].rstrip(".") or type(error).__name__
    match error:
        case refusals.AuthError() | refusals.PermissionDeniedError():
            return LaunchError(f"Modal refuses the token: {reason}.", "Make one with `modal token new`.")
        case _ if SECRET in reason:
            return LaunchError(
                f"Modal has no secret {SECRET!r} with {SECRET_KEY}: {reason}.",
                f"Make it with `modal secret create {SECRET} {SECRET_KEY}=...`; the key is at wandb.ai/authorize.",
            )
        case refusals.ImageBuildError():
            return LaunchError(f"Modal cannot build the image: {reason}.", "Fix the requirements that it names.")
        case (
            refusals.ServiceError()
            | refusals.ConnectionError()
            | refusals.InternalError()
            | refusals.ResourceExhaustedError()
            | refusals.TimeoutError()
            | OSError()
        ):
            return CloudAwayError(f"Modal does not answer: {reason}.", "Look at https://status.modal.com.")
        case _:
            return LaunchError(f"Modal does not start workers: {reason}.", "Fix what it names.")

"""Ends a run with the tracker where its program has not: it failed without a word, or was ended."""

import multiprocessing
import os
import signal
from collections.abc import Callable

import wandb
from wandb.apis.public.runs import RunNotFoundError
from wandb.errors import CommError

from multistage.domain.runs.slots import FAULT_KEY, NOTE_KEY
from multistage.worker.conventions import CAN_FORK
from multistage.worker.tracker_connection import connect

CLOSE_LIMIT = 30.0
"""Seconds within which a run that its program has left open is closed."""
CLOSE_PATIENCE = 3.0
"""The same where somebody waits for the worker's end."""
INTERRUPTED = 255
"""The exit code by which wandb says that a run was interrupted from outside."""
PREEMPTED = "preempted"
"""The state of a run that said that it would be, and has ended: the server hands it out again."""
ENDED = ("finished", "failed", "crashed", "killed", PREEMPTED)
"""States of a run that has ended."""
TOLD = ("finished", "failed", "killed")
"""States of a run of whose end the server was told."""
AFTERWARDS = "Its program failed after run.finish(), with exit code {code}."
ABSENT = "absent"
"""Stands for the state of a run that the server does not know."""


def report_failure(api: wandb.Api, run_id: str, code: int, sentence: str) -> bool:
    """Report to the tracker why a program failed, in the run's summary under ``error``.

    A program that failed before ``wandb.init``, or left without a word, has not ended its run: it is ended here with
    the program's exit code, or else it would pass for lost to the machine and be trained again. A run that has finished
    stays so, whatever its program did afterwards: the driver may have counted it already.

    Returns:
        Whether the run is closed now; False where that took too long.
    """
    api.flush()  # type: ignore[no-untyped-call]
    run = api.run(locate_run(run_id))
    if run.state == PREEMPTED:
        return True
    if run.state in ("failed", "finished"):
        key, text = ("error", sentence) if run.state == "failed" else (NOTE_KEY, AFTERWARDS.format(code=code))
        if key not in run.summary:
            run.summary[key] = text
            run.summary.update()  # type: ignore[no-untyped-call]
        return True
    return run_aside(close_run, code, sentence, limit=CLOSE_LIMIT)


def read_state(api: wandb.Api, run_id: str) -> str:
    """Ask the server for a run's state.

    Raises:
        wandb.Error: The server does not answer.
    """
    api.flush()  # type: ignore[no-untyped-call]
    try:
        return str(api.run(locate_run(run_id)).state)
    except RunNotFoundError:
        return ABSENT
    except CommError as error:  # which stands for any error that the client does not know
        if "not find" in str(error) or "not found" in str(error):
            return ABSENT
        raise


def run_aside(function: Callable[..., None], *arguments: object, limit: float) -> bool:
    """Call a function in a process of its own, whose wandb knows the run by the environment that the agent has made.

    Returns:
        Whether it returned within ``limit`` seconds.
    """
    context = multiprocessing.get_context("fork") if CAN_FORK else multiprocessing.get_context("spawn")
    process = context.Process(target=function, args=arguments)
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def locate_run(run_id: str) -> str:
    """Return a run's path on the server, ``entity/project/id``."""
    return "/".join((os.environ["WANDB_ENTITY"], os.environ["WANDB_PROJECT"], run_id))


def interrupt_run(run_id: str) -> None:
    """End a run as interrupted, unless it has ended: a program may do other things after its run."""
    if connect().run(locate_run(run_id)).state not in ENDED:
        close_run(INTERRUPTED, "")


def close_run(code: int, sentence: str, fault: str = "", note: str = "") -> None:
    """Take up the environment's run again, only to end it.

    Args:
        code: The exit code that it gets.
        sentence: Why it failed; empty where it did not.
        fault: Whose fault that was, where it was not the config's.
        note: What people should know of a run that counts.
    """
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    quiet = wandb.Settings(
        silent=True, console="off", disable_git=True, x_disable_stats=True, x_save_requirements=False
    )
    run = wandb.init(resume="allow", settings=quiet)
    told = {"error": sentence, FAULT_KEY: fault, NOTE_KEY: note}
    for key, text in told.items():
        if text:
            run.summary[key] = text
    run.finish(exit_code=code)
    wandb.teardown()

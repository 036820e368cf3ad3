"""What a worker does when a program of a user's own has ended: it says so, and ends the run where nobody has."""

import logging
import os
import signal
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from multistage.domain.runs.slots import SETUP
from multistage.worker.absence import explain_absence
from multistage.worker.closing import (
    ABSENT,
    CLOSE_LIMIT,
    TOLD,
    close_run,
    read_state,
    report_failure,
    run_aside,
)
from multistage.worker.descendants import find_cores
from multistage.worker.outputs import find_log, read_last_lines, read_reason
from multistage.worker.trainings import ProgramTraining, Training

CORE_PATIENCE = 5.0
"""Seconds in which a program's wandb-core may send its last, or the server catch up, when the program has ended."""
UNFINISHED = "It ended with exit code 0 and without run.finish(): the last rows that it logged may be missing."

logger = logging.getLogger(__name__)

Outcome = Literal["settled", "stuck", "unfit"]
"""The server knows how the training ended, as far as anybody does; closing its run took too long; or no other training
of the sweep would fare better."""


class Remains(NamedTuple):
    """What a training had left behind, ended by now."""

    left: Sequence[str] = ()
    """Command lines."""
    in_background: bool = False
    """Whether its run was in progress in one of them."""


class EndReporter:
    """Says in the worker's log how a training ended, and to the tracker where it could not say so itself.

    Args:
        near: Whether the server is on this machine, where nothing lags behind.
    """

    def __init__(self, near: bool) -> None:
        self._near = near

    def report(self, api: wandb.Api, training: Training, code: int, shortage: str, remains: Remains) -> Outcome:
        """Report one end.

        Args:
            api: W&B's client.
            training: That ended.
            code: Its exit code.
            shortage: Says that it ran out of memory, which is its config's fault; empty where it did not.
            remains: What it had left behind.
        """
        log = find_log(training.run_id)
        logger.info("--- run %s exit code %d%s", training.run_id, code, f", output in {log}" if log else "")
        for line in remains.left:
            logger.info("    A process that it had left behind was ended: %s", line)
        if training.outlived or (code < 0 and not shortage):
            return "settled"
        try:
            if shortage or code != 0:
                return self._report_failure(api, training, code, shortage)
            if isinstance(training, ProgramTraining):
                return self._report_success(api, training, remains)
        except (wandb.Error, WandbApiFailedError, ValueError) as error:
            logger.warning("The end of run %s cannot be reported to the server: %s", training.run_id, error)
        return "settled"

    def _report_failure(self, api: wandb.Api, training: Training, code: int, shortage: str) -> Outcome:
        if shortage:
            logger.info("    %s", shortage)
            code = 128 + signal.SIGKILL
        log = find_log(training.run_id)
        for line in read_last_lines(log):
            logger.info("    %s", line)
        if not shortage and not isinstance(training, ProgramTraining):
            return "settled"
        sentence = shortage or read_reason(log) or f"Exit code {code}."
        return "settled" if report_failure(api, training.run_id, code, sentence) else "stuck"

    def _report_success(self, api: wandb.Api, training: ProgramTraining, remains: Remains) -> Outcome:
        """See to it that a run counts whose program ended with exit code 0, or say why it cannot.

        A program that never reached ``wandb.init`` will not with another config either, unless it did with others.
        """
        state = self._wait_for_word(api, training.run_id)
        if state in TOLD:
            return "settled"
        if state not in ("pending", ABSENT) and not remains.in_background:
            logger.info("    %s", UNFINISHED)
            closed = run_aside(close_run, 0, "", "", UNFINISHED, limit=CLOSE_LIMIT)
            return "settled" if closed else "stuck"
        entity, project = os.environ["WANDB_ENTITY"], os.environ["WANDB_PROJECT"]
        absence = explain_absence(training.run_id, entity, project, training.command, remains.left)
        logger.info("    %s", absence.sentence)
        shared = absence.certain or not has_begun_elsewhere(api, f"{entity}/{project}", training.run_id)
        closed = run_aside(close_run, 1, absence.sentence, SETUP if shared else "", limit=CLOSE_LIMIT)
        return "unfit" if shared else "settled" if closed else "stuck"

    def _wait_for_word(self, api: wandb.Api, run_id: str) -> str:
        """Return a run's state, when its wandb-core has sent what it had, or a far server had time to catch up."""
        deadline = time.monotonic() + CORE_PATIENCE
        while True:
            state = read_state(api, run_id)
            certain = state in TOLD or (self._near and not find_cores(run_id))
            if certain or time.monotonic() > deadline:
                return state
            time.sleep(0.2 if self._near else 1.0)


def has_begun_elsewhere(api: wandb.Api, path: str, run_id: str) -> bool:
    """Return whether any other run of the sweep that was handed out has begun."""
    begun = {
        "sweep": os.environ["WANDB_SWEEP_ID"],
        "state": {"$in": ["running", "finished"]},
        "name": {"$ne": run_id},
    }
    return len(api.runs(path, filters=begun, per_page=1)) > 0

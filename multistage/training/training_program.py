"""The training program: one run of a bundled trainer, under a W&B agent or by hand.

How a run ends, in the run's exit code and in the process's:

==== ==================================================================================================
0    trained to its end
1    the config made the training diverge, or the trainer has a bug; the summary's ``error`` says which
2    the config is impossible, or the trainer's extra is not installed; ``error`` says why
255  a signal ended it early; its rows were sent. It is the code that wandb itself reports for a run that was
     interrupted, and by which a server tells ``killed`` from ``failed``. The process then dies of the same
     signal, because agents count an exit code above 0 as a failure, and a signal not
==== ==================================================================================================
"""

import sys
import traceback
from collections.abc import Sequence

from multistage.domain.model import Model
from multistage.domain.runs.reasons import find_reason
from multistage.domain.runs.results import Value
from multistage.domain.runs.values import read_value
from multistage.errors import MultistageError, UsageError
from multistage.training.catalogue import TRAINERS, find_trainer
from multistage.training.recorder import Recorder
from multistage.training.trainer_settings import TrainerSettings, check_settings

INTERRUPTED = 255
"""A run's exit code when a signal ended it."""

CONFIG_ID_KEY = "config_id"
"""The run config's entry that says what was trained."""


class Request(Model):
    """A parsed command line."""

    config_id: str
    values: dict[str, Value]


def parse_arguments(arguments: Sequence[str]) -> Request:
    """Read ``--config_id ID [--wandb_sweep] [--key=value ...]``, as W&B's agents write it.

    ``--key value`` and a bare ``--key`` (true) are understood too. ``--wandb_sweep`` marks a sweep's run for
    whoever reads the process list; wandb knows it from its own environment.

    Raises:
        UsageError: Something else stands there, or the config id is missing.
    """
    values: dict[str, Value] = {}
    rest = list(arguments)
    while rest:
        key, assigned, value = rest.pop(0).partition("=")
        if not key.startswith("--") or key == "--":
            raise UsageError(f"{key!r} is no --key=value.")
        if not assigned:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        values[key.removeprefix("--")] = read_value(value)
    values.pop("wandb_sweep", None)
    config_id = values.pop(CONFIG_ID_KEY, None)
    if not isinstance(config_id, str):
        raise UsageError("No --config_id was given.", f"Bundled are {', '.join(TRAINERS)}.")
    return Request(config_id=config_id, values=values)


def run_training(arguments: Sequence[str]) -> int:
    """Train once.

    Args:
        arguments: The command line after the program.

    Returns:
        The exit code; negative for the signal that ended the training early, as in ``subprocess``.
    """
    try:
        request = parse_arguments(arguments)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return _train(request)


def _train(request: Request) -> int:
    import wandb  # here, because reading a command line needs no second of imports

    trainer = find_trainer(request.config_id)
    kind = trainer.settings if trainer else TrainerSettings
    defaults = trainer.defaults if trainer else {}
    try:
        known = wandb.setup().settings
        run = wandb.init(
            config={CONFIG_ID_KEY: request.config_id, **defaults, **request.values},
            project=known.project or (None if known.sweep_id else request.config_id.partition(":")[0]),
            # Listing all installed packages takes longer than the rest of the start.
            settings=wandb.Settings(x_save_requirements=False, disable_git=True),
        )
    except wandb.Error as error:
        sys.stderr.write(f"The run cannot be started: {error}\n")
        return 1

    recorder = Recorder(run, kind.clock)
    with recorder.catch_signals():
        code, sentence = 0, ""
        try:
            if trainer is None:
                raise UsageError(
                    f"No bundled trainer serves {request.config_id!r}.", f"Bundled are {', '.join(TRAINERS)}."
                )
            # The sweep's values are in the run's config, where they have won over those given here.
            values = {key: value for key, value in dict(run.config).items() if key != CONFIG_ID_KEY}
            settings = check_settings(kind, values)
            trainer.load().train(settings, recorder)
        except MultistageError as error:
            code, sentence = error.exit_code, str(error)
            sys.stderr.write(f"{sentence}\n")
        except Exception as error:  # the run must not look finished, whatever it was
            code, sentence = 1, find_reason("".join(traceback.format_exception(error)).splitlines())
            traceback.print_exc()
        if recorder.stopped_by:
            code, sentence = INTERRUPTED, f"Ended early by {recorder.stopped_by.name}."
        if sentence:
            recorder.note("error", sentence)
        run.finish(exit_code=code)
    return -recorder.stopped_by if recorder.stopped_by else code

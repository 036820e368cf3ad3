"""Every error that this project raises on purpose.

The tree, and the exit code that the command line ends with::

    MultistageError              a sentence on what happened, and a hint on what to do      1
    ├── UsageError               what was asked for cannot be done; nothing was started     2
    │   ├── SpaceError           a parameter, a range, a scale
    │   ├── BudgetError          a budget, a split, a grid that does not fit
    │   ├── FolderError          a sweep's folder: another sweep's, damaged, not writable
    │   ├── ConfigUnknownError   no bundled trainer has the config id, and no program was named
    │   ├── MissingExtraError    an optional dependency is not installed
    │   └── MetricUnnamedError   nobody said what a script of the user's own is optimized by
    ├── SweepFailedError         the sweep ran and cannot go on
    │   ├── ApprovalError        between two stages a person said stop, or nobody answered
    │   ├── AllRunsFailedError   every run of a stage failed
    │   ├── MetricMissingError   no run logs the metric that the sweep optimizes
    │   └── SetupError           what all runs share is wrong: the program, not a config
    ├── TrackerError             the W&B server said no, or cannot be reached
    ├── TrainingError            a bundled training cannot go on: its config made it diverge
    ├── LaunchError              workers cannot be started or keep dying
    │   ├── CloudAwayError       what starts workers does not answer; it may later
    │   └── StandstillError      workers end again and again, and no run moves
    └── ServiceError             a local service does not start, or does not stop
"""

from typing import ClassVar


class MultistageError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: One sentence on what happened, with the value that caused it.
        hint: One sentence on what to do about it; empty where the message says it all.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(MultistageError):
    """What was asked for cannot be done; nothing was started or written."""

    exit_code = 2


class SpaceError(UsageError):
    """A parameter, its range or its scale makes no sense."""


class BudgetError(UsageError):
    """A budget or a split does not add up, or a grid does not fit it."""


class FolderError(UsageError):
    """A sweep's folder holds another sweep, a damaged state, or cannot be written."""


class ConfigUnknownError(UsageError):
    """No bundled trainer has the config id, and no program was named.

    Args:
        config_id: As it was given.
        hint: What to do.
    """

    def __init__(self, config_id: str, hint: str) -> None:
        super().__init__(f"No bundled trainer has the config id {config_id!r}.", hint)
        self.config_id = config_id


class MissingExtraError(UsageError):
    """An optional dependency is missing; the hint names the extra that brings it."""


class MetricUnnamedError(UsageError):
    """Nobody said what a script of the user's own is optimized by.

    Args:
        message: As ever.
        hint: What to do, up to the flags that do it.
        flags: Those, as they are typed.
    """

    def __init__(self, message: str, hint: str, flags: str = "") -> None:
        super().__init__(message, hint)
        self.flags = flags

    def __str__(self) -> str:
        return f"{super().__str__()} {self.flags}"


class SweepFailedError(MultistageError):
    """The sweep ran, and cannot go on."""


class ApprovalError(SweepFailedError):
    """Between two stages a person ended the sweep, or nobody answered in time."""


class AllRunsFailedError(SweepFailedError):
    """Every run of a stage failed by its config's fault."""


class MetricMissingError(SweepFailedError):
    """Runs finish without ever logging the metric that the sweep optimizes."""


class SetupError(SweepFailedError):
    """A program cannot work as it is started, whatever its config."""


class TrackerError(MultistageError):
    """The W&B server refused a request or cannot be reached."""


class TrainingError(MultistageError):
    """A bundled training cannot go on: its config made it diverge."""


class LaunchError(MultistageError):
    """Workers cannot be started, or keep dying."""


class CloudAwayError(LaunchError):
    """What starts workers, such as Modal or Slurm's controller, does not answer; asking again later may do."""


class StandstillError(LaunchError):
    """Workers end again and again without progress in any run."""


class ServiceError(MultistageError):
    """A local service does not start or does not stop."""

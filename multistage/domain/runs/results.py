"""What runs, stages and whole sweeps leave behind."""

from typing import Literal

from multistage.domain.model import Model

Value = bool | int | float | str
"""One hyperparameter's value."""

Config = dict[str, Value]
"""The swept hyperparameters of one run, by name; never the seed, never the fixed settings."""

Goal = Literal["maximize", "minimize"]

Outcome = Literal["finished", "stopped", "failed"]
"""How a used slot ended: trained to its end, stopped early, or failed by its config's fault."""


class Evaluation(Model):
    """A used slot: what was tried and what came of it. The only evidence that search and selection see."""

    stage: int
    """1, 2 or 3."""
    index: int
    """Position in the stage, from 0."""
    config: Config
    outcome: Outcome
    value: float | None
    """The metric by ``--metric-value``; None where it was never logged. May be NaN or infinite."""
    seed: int | None = None
    run_id: str = ""
    finalist: bool = False
    """Whether the slot trained a contender again on a fresh seed."""

"""The settings of each bundled trainer, checked: what a config may hold, and which values make no sense.

Pure: importable without torch, scikit-learn or wandb, so that planning a sweep costs no heavy import.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import ConfigDict, Field, ValidationError, model_validator

from multistage.domain.model import Model
from multistage.domain.runs.results import Value
from multistage.errors import UsageError
from multistage.spelling import find_near


class TrainerSettings(Model):
    """What every trainer knows. Field names are hyperparameter names; strings and whole floats will do."""

    model_config = ConfigDict(allow_inf_nan=False)

    clock: ClassVar[str] = "step"
    """The history key that counts the training's progress, in which rows lie on a fixed grid."""
    length_setting: ClassVar[str]
    """The setting that says how far the clock goes."""
    rows_setting: ClassVar[str]
    """The setting that says how many rows a run logs."""
    pace: ClassVar[float]
    """How far the clock goes in a second, about, on one core and with the defaults."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seeds everything random: the same settings give the same numbers."""


class DigitsMlpSettings(TrainerSettings):
    """A small multi-layer perceptron on scikit-learn's bundled digits (1,797 images of 8x8)."""

    clock: ClassVar[str] = "epoch"
    length_setting: ClassVar[str] = "epochs"
    rows_setting: ClassVar[str] = "epochs"
    pace: ClassVar[float] = 40.0

    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's initial step size."""
    alpha: float = Field(default=1e-4, ge=0)
    """Strength of the L2 penalty."""
    batch_size: int = Field(default=32, ge=1, le=1347)
    """Images per gradient step; at most the 1,347 of the training part."""
    hidden_size: int = Field(default=64, ge=1, le=4096)
    """Units of the one hidden layer."""
    epochs: int = Field(default=40, ge=1)
    """Passes over the training part; each logs one row."""


class PpoSettings(TrainerSettings):
    """Proximal policy optimization (Schulman et al. 2017), as Stable-Baselines3 implements it."""

    clock: ClassVar[str] = "global_step"
    length_setting: ClassVar[str] = "total_steps"
    rows_setting: ClassVar[str] = "rows"
    pace: ClassVar[float] = 4_000.0

    policy_lr: float = Field(default=1e-3, gt=0)
    """Adam's step size, for policy and value function alike."""
    clip_range: float = Field(default=0.2, gt=0)
    """Largest change of an action's probability ratio that still earns."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    """Bias against variance of the advantage estimate."""
    vf_coef: float = Field(default=0.5, ge=0)
    """Weight of the value function's loss."""
    ent_coef: float = Field(default=0.0, ge=0)
    """Weight of the entropy bonus."""
    gamma: float = Field(default=0.99, ge=0, le=1)
    """Discount per environment step."""
    n_steps: int = Field(default=128, ge=2)
    """Steps of each environment between two updates."""
    batch_size: int = Field(default=256, ge=2)
    """Steps per gradient step; the nearest divisor of the rollout that is not above it is used."""
    n_epochs: int = Field(default=10, ge=1)
    """Passes over each rollout."""
    max_grad_norm: float = Field(default=0.5, gt=0)
    """Gradients are scaled down to this norm."""
    n_envs: int = Field(default=8, ge=1)
    """Environments stepped together."""
    hidden_size: int = Field(default=64, ge=1, le=4096)
    """Units in each of the two hidden layers of policy and value function."""
    total_steps: int = Field(default=50_000, ge=1)
    """Environment steps of the whole training, over all environments."""
    rows: int = Field(default=200, ge=1)
    """Rows of history, on a fixed grid of environment steps."""
    evaluations: int = Field(default=2, ge=1)
    """Evaluations of the deterministic policy, evenly spread, the last one at the end."""
    eval_episodes: int = Field(default=10, ge=1)
    """Episodes of each evaluation."""

    @property
    def rollout(self) -> int:
        """Environment steps between two updates."""
        return self.n_steps * self.n_envs

    @property
    def used_batch_size(self) -> int:
        """The largest divisor of the rollout that is at most ``batch_size``: no batch is a leftover."""
        return next(size for size in range(self.batch_size, 0, -1) if self.rollout % size == 0)

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.batch_size > self.rollout:
            raise ValueError(
                f"batch_size {self.batch_size} is above the rollout of {self.rollout} steps "
                f"(n_steps {self.n_steps} x n_envs {self.n_envs})."
            )
        if self.rollout > self.total_steps:
            raise ValueError(
                f"The rollout of {self.rollout} steps (n_steps {self.n_steps} x n_envs {self.n_envs}) is "
                f"above total_steps {self.total_steps}, so nothing would be learned."
            )
        if self.used_batch_size < 2:
            raise ValueError(
                f"batch_size {self.batch_size} is below every divisor of the rollout of {self.rollout} steps but 1."
            )
        if self.rows > self.total_steps:
            raise ValueError(f"{self.rows} rows do not fit into total_steps {self.total_steps}.")
        if self.evaluations > self.rows:
            raise ValueError(f"{self.evaluations} evaluations do not fit into {self.rows} rows.")
        return self


class PongSettings(PpoSettings):
    """PPO on Pong's objects: longer rollouts and training, and short evaluations, since its episodes are long.

    Layers of 128 units: those of 64 end at a train reward of -13.1 with seed 0, these some four points above.
    """

    pace: ClassVar[float] = 1_250.0

    n_steps: int = Field(default=256, ge=2)
    hidden_size: int = Field(default=128, ge=1, le=4096)
    total_steps: int = Field(default=528_384, ge=1)
    eval_episodes: int = Field(default=2, ge=1)


Settings = TypeVar("Settings", bound=TrainerSettings)


def check_settings(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Turn a run's config into a trainer's settings.

    Args:
        kind: The trainer's settings.
        values: Hyperparameters by name, as a sweep or a command line gives them.

    Raises:
        UsageError: A key is unknown, a value makes no sense, or two of them do not go together; one line.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(" ".join(_explain(kind, detail) for detail in error.errors())) from None


def _explain(kind: type[TrainerSettings], detail: Mapping[str, Any]) -> str:
    """One sentence on one of pydantic's complaints."""
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        near = find_near(name, kind.model_fields)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(kind.model_fields)}."
        return f"Unknown setting {name!r}: {hint}"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return f"{name} = {detail['input']!r}: {detail['msg'].lower().removeprefix('input ')}."


def list_defaults(kind: type[TrainerSettings]) -> dict[str, Value]:
    """A trainer's settings where nothing is swept."""
    return kind().model_dump()

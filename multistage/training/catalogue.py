"""Which config ids the bundled trainers serve. Importable without torch, scikit-learn or wandb."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

from multistage.domain.model import Model
from multistage.domain.runs.results import Goal, Value
from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.parameters import FloatParameter, IntParameter, Parameter, PowerOfTwoParameter
from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.workers.styles import BUNDLED_PROGRAM
from multistage.errors import MissingExtraError
from multistage.training.recorder import Recorder
from multistage.training.trainer_settings import (
    DigitsMlpSettings,
    PongSettings,
    PpoSettings,
    TrainerSettings,
    list_defaults,
)

PPO_PARAMETERS: Mapping[str, Parameter] = {
    **GUIDE_PARAMETERS,
    "n_epochs": IntParameter(name="n_epochs", low=1, high=20),
}
"""The guide's ranges, and what else is worth a search."""


class TrainerModule(Protocol):
    """What the module of a trainer offers."""

    def warm_up(self) -> None:
        """Pay now what the first training of a process would pay: lazy imports, first-use set-ups."""

    def train(self, settings: TrainerSettings, recorder: Recorder) -> None:
        """Train once.

        Raises:
            TrainingError: The config made the training diverge.
        """


class Trainer(Model):
    """A bundled trainer, described."""

    config_id: str
    extra: str
    """The optional dependencies that it needs, as in ``pip install 'multistage-sweep[rl]'``."""
    packages: tuple[str, ...]
    """Import names of what the extra brings."""
    metric: str
    """The history key that a sweep optimizes unless told otherwise."""
    goal: Goal
    parameters: Mapping[str, Parameter]
    """Known ranges, so that ``--params name`` is enough."""
    settings: type[TrainerSettings]
    module: str
    """Dotted name of the module that trains."""

    @property
    def defaults(self) -> Mapping[str, Value]:
        """Every setting and its default; the sweep's values win."""
        return list_defaults(self.settings)

    @property
    def command(self) -> list[str]:
        """The sweep's ``command``, with which any W&B agent starts this trainer."""
        start = ["${env}", "${interpreter}", "-m", BUNDLED_PROGRAM]
        return [*start, "--config_id", self.config_id, "--wandb_sweep", "${args}"]

    def check_extra(self) -> None:
        """Make sure that the extra is installed, without importing it.

        Raises:
            MissingExtraError: It is not.
        """
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            raise MissingExtraError(
                f"{self.config_id} needs {', '.join(missing)}, which is not installed.",
                f"Install it with: pip install 'multistage-sweep[{self.extra}]'",
            )

    def load(self) -> TrainerModule:
        """Import what trains; takes seconds for torch.

        Raises:
            MissingExtraError: The extra is not installed.
        """
        self.check_extra()
        return cast("TrainerModule", import_module(self.module))


TRAINERS: Mapping[str, Trainer] = {
    "digits:mlp": Trainer(
        config_id="digits:mlp",
        extra="digits",
        packages=("sklearn",),
        metric="val/accuracy",
        goal="maximize",
        parameters={
            "learning_rate": FloatParameter(name="learning_rate", low=1e-5, high=1e-1, scale="log"),
            "alpha": FloatParameter(name="alpha", low=1e-6, high=1.0, scale="log"),
            "batch_size": PowerOfTwoParameter(name="batch_size", low=16, high=256),
            "hidden_size": PowerOfTwoParameter(name="hidden_size", low=8, high=256),
        },
        settings=DigitsMlpSettings,
        module="multistage.training.digits_mlp",
    ),
    "CartPole-v1:ppo": Trainer(
        config_id="CartPole-v1:ppo",
        extra="rl",
        packages=("torch", "stable_baselines3", "gymnasium"),
        metric="train/roll/ep_rew/mean",
        goal="maximize",
        parameters=PPO_PARAMETERS,
        settings=PpoSettings,
        module="multistage.training.cartpole_ppo",
    ),
    "ALE-Pong-v5:objects_ppo": Trainer(
        config_id="ALE-Pong-v5:objects_ppo",
        extra="atari",
        packages=("torch", "stable_baselines3", "gymnasium", "ale_py"),
        metric="train/roll/ep_rew/mean",
        goal="maximize",
        parameters=PPO_PARAMETERS,
        settings=PongSettings,
        module="multistage.training.pong_ppo",
    ),
}
"""The closed set of bundled trainers."""


def find_trainer(config_id: str) -> Trainer | None:
    """The bundled trainer that serves a config id, if one does."""
    return TRAINERS.get(config_id)


def find_bundled(settings: SweepSettings) -> Trainer | None:
    """Find the bundled trainer that a sweep trains with; None for a program of the user's own."""
    trainer = find_trainer(settings.config_id)
    return trainer if trainer and settings.command == tuple(trainer.command) else None

"""``CartPole-v1:ppo``: balance a pole, by proximal policy optimization; some ten seconds per run."""

from multistage.training.ppo import train_ppo
from multistage.training.recorder import Recorder
from multistage.training.trainer_settings import PpoSettings, TrainerSettings

ENVIRONMENT = "CartPole-v1"


def warm_up() -> None:
    """Train for an instant, which imports and sets up what only training needs."""
    from multistage.training.ppo import warm_up_ppo

    warm_up_ppo(ENVIRONMENT)


def train(settings: TrainerSettings, recorder: Recorder) -> None:
    """Train once.

    Raises:
        TrainingError: The policy diverged.
    """
    assert isinstance(settings, PpoSettings)  # noqa: S101 - the catalogue pairs them
    train_ppo(ENVIRONMENT, settings, recorder)

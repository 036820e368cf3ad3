"""``ALE-Pong-v5:objects_ppo``: Pong from its objects, by proximal policy optimization; some ten minutes a run."""

from multistage.training.recorder import Recorder
from multistage.training.trainer_settings import PongSettings, TrainerSettings


def warm_up() -> None:
    """Train for an instant, which imports and sets up what only training needs."""
    from multistage.training.pong_objects import make_pong
    from multistage.training.ppo import warm_up_ppo

    warm_up_ppo(make_pong)


def train(settings: TrainerSettings, recorder: Recorder) -> None:
    """Train once.

    Raises:
        TrainingError: The policy diverged.
    """
    from multistage.training.pong_objects import make_pong
    from multistage.training.ppo import train_ppo

    assert isinstance(settings, PongSettings)  # noqa: S101 - the catalogue pairs them
    train_ppo(make_pong, settings, recorder)

"""``digits:mlp``: a perceptron on scikit-learn's digits; a second per run, with a real optimum to find."""

import math
from functools import cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from multistage.errors import TrainingError
from multistage.training.recorder import Recorder
from multistage.training.trainer_settings import DigitsMlpSettings, TrainerSettings

SPLIT_SEED = 0
"""The validation part is the same for every run, so that configs are compared and not splits."""


def warm_up() -> None:
    """Load the data and fit once, so that the first run of a process is as fast as the next."""
    images, _, digits, _ = _load_parts()
    with threadpool_limits(limits=1):
        MLPClassifier(hidden_layer_sizes=(4,)).partial_fit(images, digits, classes=np.arange(10))


def train(settings: TrainerSettings, recorder: Recorder) -> None:
    """Train once; logs ``val/accuracy`` and ``train/loss`` after every epoch.

    Raises:
        TrainingError: The weights or the loss are no longer finite.
    """
    assert isinstance(settings, DigitsMlpSettings)  # noqa: S101 - the catalogue pairs them
    images, val_images, digits, val_digits = _load_parts()
    model = MLPClassifier(
        hidden_layer_sizes=(settings.hidden_size,),
        learning_rate_init=settings.learning_rate,
        alpha=settings.alpha,
        batch_size=settings.batch_size,
        random_state=settings.seed,
    )
    # One thread: workers share the cores, and the order of sums must not depend on how many there are.
    with threadpool_limits(limits=1), recorder.time_training():
        for epoch in range(1, settings.epochs + 1):
            if recorder.stopped_by:
                return
            _fit_epoch(model, images, digits, epoch)
            accuracy = float(model.score(val_images, val_digits))
            recorder.log(epoch, {"val/accuracy": accuracy, "train/loss": float(model.loss_)})


def _fit_epoch(model: MLPClassifier, images: np.ndarray, digits: np.ndarray, epoch: int) -> None:
    sentence = f"The training diverged: its weights were no longer finite in epoch {epoch}."
    hint = "Lower learning_rate or alpha."
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            model.partial_fit(images, digits, classes=np.arange(10))
    except ValueError as error:
        if "non-finite" in str(error):
            raise TrainingError(sentence, hint) from None
        raise
    if not math.isfinite(model.loss_):
        raise TrainingError(sentence, hint)


@cache
def _load_parts() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images scaled to 0..1 and their digits: training part, validation part."""
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images / 16.0, digits, test_size=0.25, random_state=SPLIT_SEED, stratify=digits)
    return parts[0], parts[1], parts[2], parts[3]

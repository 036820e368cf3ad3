import pytest

from multistage.domain.proposal.ranges import (
    guess_usual,
    is_apart,
    is_length,
    is_seed,
    propose_range,
    rank_name,
)
from multistage.domain.runs.results import Value
from multistage.domain.space.parameters import FloatParameter


@pytest.mark.parametrize("name", ["seed", "random_seed", "manual_seed", "args.seed", "random_state"])
def test_seeds(name: str) -> None:
    assert is_seed(name)
    assert is_apart(name)


@pytest.mark.parametrize(
    "name",
    [
        "epochs", "num_train_epochs", "max_epochs", "trainer.max_epochs", "total_timesteps", "max_steps", "max_iters",
        "num_iterations", "total_env_steps", "steps", "n_iter",
    ],
)  # fmt: skip
def test_lengths(name: str) -> None:
    assert is_length(name)
    assert rank_name(name) is None


@pytest.mark.parametrize(
    "name", ["n_steps", "num_steps", "n_epochs", "update_epochs", "warmup_steps", "lr_decay_iters"]
)
def test_what_counts_within_a_training_is_no_length(name: str) -> None:
    assert not is_length(name)


@pytest.mark.parametrize(
    "name",
    [
        "num_workers",
        "device",
        "log_interval",
        "eval_every",
        "port",
        "world_size",
        "dataloader_num_workers",
        "a b",
        "x:y",
    ],
)
def test_what_nobody_tunes(name: str) -> None:
    assert is_apart(name)


def test_what_matters_most_comes_first() -> None:
    names = ["hidden_size", "gamma", "weight_decay", "batch_size", "learning_rate", "dropout", "vf_coef"]
    assert sorted(names, key=lambda name: rank_name(name) or 0) == [
        "learning_rate", "batch_size", "weight_decay", "gamma", "dropout", "vf_coef", "hidden_size",
    ]  # fmt: skip
    assert rank_name("foo") is None
    assert rank_name("foo", {"foo": FloatParameter(name="foo", low=0, high=1)}) == 8
    assert rank_name("per_device_eval_batch_size") is None
    assert rank_name("adam_epsilon") == 7
    assert rank_name("lr_decay_iters", usual=5000) is None


@pytest.mark.parametrize(
    ("name", "usual", "expected"),
    [
        ("gamma", 0.99, "gamma 0.95 to 0.999"),
        ("agent.gamma", 0.98, "agent.gamma 0.95 to 0.999"),
        ("gamma", 0.5, "gamma 0.125 to 2 (log)"),
        ("batch_size", 512, "batch_size 256 to 4096 (powers of two)"),
        ("batch_size", 64, "batch_size 16 to 256 (powers of two)"),
        ("learning_rate", 0.001, "learning_rate 0.0001 to 0.01 (log)"),
        ("weight_decay", 0.0, "weight_decay 0 to 0.1"),
        ("momentum", 0.9, "momentum 0.6 to 0.975"),
        ("beta2", 0.999, "beta2 0.996 to 0.99975"),
        ("dropout", 0.1, "dropout 0 to 0.5"),
        ("dropout", 0.6, "dropout 0 to 1"),
        ("shift", -1.0, "shift -2 to 0"),
        ("layers", 2, "layers 1 to 4 (int)"),
        ("layers", 0, "layers 0 to 3 (int)"),
        ("n_embd", 768, "n_embd 190 to 3100 (int, log)"),
        ("x", 3.0, "x 0.75 to 12 (log)"),
        ("bias", True, "bias one of True, False"),
    ],
)
def test_a_range_holds_the_usual_value(name: str, usual: Value, expected: str) -> None:
    parameter = propose_range(name, usual)
    assert parameter is not None
    assert parameter.describe() == expected
    assert parameter.contains(usual)


@pytest.mark.parametrize(("name", "usual"), [("x", 0.0), ("x", 0), ("x", -3), ("x", float("nan")), ("path", "a/b")])
def test_no_range_where_nothing_tells_one(name: str, usual: Value) -> None:
    assert propose_range(name, usual) is None


def test_choices_that_the_script_names() -> None:
    parameter = propose_range("optim", "adam", choices=("sgd", "adam"))
    assert parameter is not None
    assert parameter.describe() == "optim one of sgd, adam"
    assert propose_range("optim", "adam", choices=("adam",)) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("use_amp", False), ("epochs", 10), ("n_steps", 256), ("lr", 1e-3), ("seed", None), ("foo", None)],
)
def test_usual_values_are_guessed_by_name(name: str, value: Value | None) -> None:
    assert guess_usual(name) == value

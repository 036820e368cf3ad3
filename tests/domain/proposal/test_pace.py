import pytest

from multistage.domain.proposal.pace import (
    Length,
    Pace,
    choose_budget,
    count_workers,
    estimate_pace,
    find_length,
    join_names,
)


def test_epochs_before_steps_are_the_length() -> None:
    found = find_length({"lr": 0.1, "max_steps": -1, "total_timesteps": 500, "epochs": 20, "steps": True})
    assert found == Length(name="epochs", value=20)
    assert find_length({"epochs": "many"}) is None


@pytest.mark.parametrize(
    ("length", "rows", "seconds"),
    [
        (Length(name="epochs", value=20), [{"epoch": 4.0, "loss": 1.0}, {"epoch": 5.0}], 40),
        (Length(name="max_steps", value=100), [{"train/global_step": 50.0}], 20),
        (Length(name="total_timesteps", value=100), [{"_step": 20.0}], 50),
        (Length(name="epochs", value=2), [{"epoch": 5.0}], None),
        (Length(name="epochs", value=2), [{"loss": 5.0}], None),
        (None, [{"epoch": 5.0}], None),
    ],
)
def test_a_whole_run_is_estimated_by_how_far_one_came(
    length: Length | None, rows: list[dict[str, float]], seconds: float | None
) -> None:
    pace = estimate_pace(rows, 10.0, length, whole=False)
    assert pace == (None if seconds is None else Pace(seconds=seconds, estimated=True))


def test_only_what_is_trained_grows_with_the_length() -> None:
    pace = estimate_pace([{"epoch": 5.0}], 10.0, Length(name="epochs", value=50), whole=False, startup=8.0)
    assert pace == Pace(seconds=28, estimated=True)


def test_a_whole_run_needs_no_estimate() -> None:
    assert estimate_pace([], 10.0, None, whole=True) == Pace(seconds=10, estimated=False)


def test_as_many_workers_as_the_memory_holds() -> None:
    assert count_workers(8, 32e9, None) == 8
    assert count_workers(8, 32e9, 1e9) == 8
    assert count_workers(8, 32e9, 10e9) == 2
    assert count_workers(8, 32e9, 100e9) == 1


@pytest.mark.parametrize(
    ("seconds", "workers", "budget"), [(1, 2, 300), (600, 1, 40), (600, 4, 190), (36000, 1, 10), (None, 2, 100)]
)
def test_a_budget_for_one_night(seconds: float | None, workers: int, budget: int) -> None:
    assert choose_budget(None if seconds is None else Pace(seconds=seconds, estimated=True), workers) == budget


def test_many_names_are_counted() -> None:
    assert join_names(["a", "b"]) == "a, b"
    assert join_names(list("abcdefghij")) == "a, b, c, d, e, f, g, h and 2 more"

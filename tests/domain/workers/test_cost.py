"""What workers that are paid have cost."""

import pytest

from multistage.domain.workers.cost import Cost, Prices

PRICES = Prices(source="a list")


def test_prices_of_earlier_releases_are_read() -> None:
    earlier = {"core": 0.1, "gib": 0.2, "gpus": {"T4": 0.3}, "source": "a list"}
    prices = Prices.model_validate(earlier)
    assert prices == Prices(source="a list", details={"core": 0.1, "gib": 0.2, "gpus": {"T4": 0.3}})
    assert Prices.model_validate_json(prices.model_dump_json()) == prices


def test_costs_add_up_by_sweep() -> None:
    cost = Cost(rates=PRICES).add("a/b/1", 10, 0.5).add("a/b/2", 20, 1.0).add("a/b/1", 5, 0.25)
    assert [(stage.sweep, stage.seconds, stage.dollars) for stage in cost.stages] == [
        ("a/b/1", 15, 0.75),
        ("a/b/2", 20, 1.0),
    ]
    assert cost.ended == pytest.approx(1.75)
    assert cost.rate == pytest.approx(1.75 / 35)
    assert Cost(rates=PRICES).rate is None, "nobody has ended"


def test_costs_are_told_a_run_a_stage_and_in_all() -> None:
    cost = Cost(rates=PRICES).add("a/b/1", 10, 0.5).add("a/b/2", 20, 1.0)
    told = cost.total({"a/b/1": 0.25, "a/b/2": 0.5}, {"1": (1, 5)})
    assert [(stage.stage, stage.dollars_a_run) for stage in told.stages] == [(1, pytest.approx(0.1)), (None, None)]
    assert told.dollars == pytest.approx(2.25)
    assert told.beside == pytest.approx(1.0)
    assert told.dollars_a_run == pytest.approx(0.15), "what is trained outside the budget is no run's"
    assert cost.total({}, {}).dollars_a_run is None

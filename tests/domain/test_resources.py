"""What a container has and costs."""

import pytest
from pydantic import ValidationError

from multistage.domain.resources import GPU_PRICES, Cost, Rates
from multistage.options.modal import GPUS, Resources, name_gpu


@pytest.mark.parametrize(
    ("text", "found"),
    [("T4", ("T4", 1)), ("h100:2", ("H100", 2)), ("A10G", ("A10", 1)), ("A100:8", ("A100-40GB", 8))],
)
def test_a_gpu_is_named_as_modal_does(text: str, found: tuple[str, int]) -> None:
    assert name_gpu(text) == found


@pytest.mark.parametrize("text", ["", "T5", "H100:9", "H100:0", "H100:two", "H100 2"])
def test_a_gpu_that_modal_has_not_is_refused_with_those_it_has(text: str) -> None:
    with pytest.raises(ValueError, match="there are T4"):
        name_gpu(text)
    with pytest.raises(ValidationError):
        Resources(gpu=text)


def test_a_container_costs_its_cores_its_memory_and_its_gpus() -> None:
    rates = Rates(core=1.0, gib=0.5)
    assert rates.price(Resources(cpu=2, memory=4)) == pytest.approx(4.0)
    assert rates.price(Resources(cpu=2, memory=4, region="us")) == pytest.approx(6.0)
    assert rates.price(Resources(cpu=2, memory=4, region="us-east")) == pytest.approx(7.0)
    with_gpus = rates.price(Resources(cpu=2, memory=4, gpu="L4:3"))
    assert with_gpus == pytest.approx(4.0 + 3 * GPU_PRICES["L4"])


def test_every_gpu_that_can_be_asked_for_has_a_price() -> None:
    assert tuple(GPU_PRICES) == GPUS


def test_costs_add_up_by_sweep() -> None:
    cost = Cost(rates=Rates()).add("a/b/1", 10, 0.5).add("a/b/2", 20, 1.0).add("a/b/1", 5, 0.25)
    assert [(stage.sweep, stage.seconds, stage.dollars) for stage in cost.stages] == [
        ("a/b/1", 15, 0.75),
        ("a/b/2", 20, 1.0),
    ]
    assert cost.ended == pytest.approx(1.75)


def test_costs_are_told_a_run_a_stage_and_in_all() -> None:
    cost = Cost(rates=Rates()).add("a/b/1", 10, 0.5).add("a/b/2", 20, 1.0)
    told = cost.total({"a/b/1": 0.25, "a/b/2": 0.5}, {"1": (1, 5)})
    assert [(stage.stage, stage.dollars_a_run) for stage in told.stages] == [(1, pytest.approx(0.1)), (None, None)]
    assert told.dollars == pytest.approx(2.25)
    assert told.beside == pytest.approx(1.0)
    assert told.dollars_a_run == pytest.approx(0.15), "what is trained outside the budget is no run's"
    assert cost.total({}, {}).dollars_a_run is None

"""What a container costs."""

import pytest

from multistage.launchers.modal.prices import GPU_PRICES, Rates
from multistage.options.modal import GPUS, Resources


def test_each_gpu_has_a_price() -> None:
    assert set(GPU_PRICES) == set(GPUS)


def test_prices_are_read_back_as_the_state_keeps_them() -> None:
    rates = Rates(core=1.0, gib=0.5, source="a list of mine")
    assert Rates.unpack(rates.pack()) == rates
    assert Rates.unpack(None) == Rates()


def test_a_container_costs_its_cores_its_memory_and_its_gpus() -> None:
    rates = Rates(core=1.0, gib=0.5)
    assert rates.price(Resources(cpu=2, memory=4)) == pytest.approx(4.0)
    assert rates.price(Resources(cpu=2, memory=4, region="us")) == pytest.approx(6.0)
    assert rates.price(Resources(cpu=2, memory=4, region="us-east")) == pytest.approx(7.0)
    with_gpus = rates.price(Resources(cpu=2, memory=4, gpu="L4:3"))
    assert with_gpus == pytest.approx(4.0 + 3 * GPU_PRICES["L4"])

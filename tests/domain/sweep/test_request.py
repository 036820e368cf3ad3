"""What a user asks for: tables where texts are, and bounds that depend on what is run."""

import pytest
from pydantic import ValidationError

from multistage.domain.sweep.request import SweepRequest


def test_a_table_is_written_as_texts_that_say_the_same() -> None:
    asked = SweepRequest.model_validate({"config_id": "a:b", "baseline": {"lr": 1e-3, "act": "relu"}, "params": "lr"})
    assert asked.baseline == ("lr=0.001", "act=relu")
    assert SweepRequest.model_validate(asked) == asked
    assert SweepRequest(config_id="a:b", train_arg=("epochs=3",)).train_arg == ("epochs=3",)
    with pytest.raises(ValidationError):
        SweepRequest.model_validate("a:b")


def test_a_sweep_that_is_run_as_it_is_may_be_small() -> None:
    assert SweepRequest(config_id="a:b", single=True, budget=1).budget == 1
    assert SweepRequest(config_id="a:b").budget == 500
    with pytest.raises(ValidationError):
        SweepRequest(config_id="a:b", budget=0)

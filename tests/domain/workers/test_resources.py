"""What a container has."""

import pytest
from pydantic import ValidationError

from multistage.options.modal import Resources, name_gpu


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

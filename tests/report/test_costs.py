"""What containers cost, in words."""

import pytest

from multistage.report.costs import format_dollars


@pytest.mark.parametrize(
    ("dollars", "written"),
    [
        (0, "$0.00"),
        (0.00009441, "$0.000094"),
        (0.0044, "$0.0044"),
        (0.0999, "$0.100"),
        (0.1, "$0.10"),
        (12.345, "$12.35"),
    ],
)
def test_amounts_are_written_in_cents_or_two_digits_that_count(dollars: float, written: str) -> None:
    assert format_dollars(dollars) == written

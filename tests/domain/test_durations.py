import pytest

from multistage.domain.durations import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (3.21, "3.2 s"),
        (9.6, "10 s"),
        (45, "45 s"),
        (119.6, "2 min"),
        (1799, "30 min"),
        (3599, "1 h 0 min"),
        (9000, "2 h 30 min"),
        (86_399, "1 d 0 h"),
        (1e6, "11 d 13 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text

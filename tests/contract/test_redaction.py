"""No secret is printed, nor what is left of one that pytest has cut."""

import pytest

from tests.contract.redaction import hide

KEY = "27500aa796cfe01b7d0801bfd7b2ef"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"assert '{KEY}' == 1", "assert '***' == 1"),
        (f"assert '{KEY[:13]}...{KEY[-13:]}' == 1", "assert '***...***' == 1"),
        (f"FAILED x - {KEY[:9]}", "FAILED x - ***"),
        (f"{KEY} and as-short", "*** and ***"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_secrets_are_hidden_whole_and_in_pieces(text: str, shown: str) -> None:
    assert hide(text, [KEY, "as-short"]) == shown


def test_a_secret_shorter_than_a_piece_is_hidden() -> None:
    assert hide("key=abc", ["abc"]) == "key=***"

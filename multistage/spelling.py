"""What was probably meant by a word that is not known."""

import difflib
from collections.abc import Iterable


def find_near(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Find the known word nearest to one that is not; None where none is near.

    Args:
        word: As it was typed; case does not count.
        known: What it could have been.
        cutoff: How alike they must be, from 0 to 1.
    """
    by_fold = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=cutoff)
    return by_fold[near[0]] if near else None


def suggest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Say which known word was probably meant, with a space after it; empty where none is near."""
    near = find_near(word, known, cutoff)
    return f"Did you mean {near}? " if near else ""

"""Takes secrets out of what is printed."""

import re
from collections.abc import Sequence

PIECE = 6
"""Characters of a secret that are too many to show."""


def hide(text: str, secrets: Sequence[str]) -> str:
    """Replace secrets, and pieces of them: pytest cuts long values in their middle, and lines at their end."""
    pieces = {
        secret[start : start + PIECE] for secret in secrets for start in range(max(1, len(secret) - PIECE + 1))
    } - {""}
    covered: set[int] = set()
    for piece in pieces:
        for found in re.finditer(f"(?={re.escape(piece)})", text):
            covered.update(range(found.start(), found.start() + len(piece)))
    return re.sub("\0+", "***", "".join("\0" if at in covered else one for at, one in enumerate(text)))

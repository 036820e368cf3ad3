"""Sentences on a terminal and elsewhere."""

from rich.console import Console


def print_prose(console: Console, text: str, style: str = "") -> None:
    """Print sentences: broken between words on a terminal, and in one line elsewhere, where programs read them.

    What people copy, such as an address or a path that may be longer than a line, is printed otherwise: a terminal
    that breaks it puts nothing between its parts.

    Args:
        console: Where to print.
        text: The sentences.
        style: Theirs.
    """
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=not console.is_terminal)

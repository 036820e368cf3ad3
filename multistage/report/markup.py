"""Small pieces of HTML; every text that comes from a run is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape

import plotly.graph_objects as go


class Markup(str):
    """HTML that is safe as it is."""

    __slots__ = ()


def render(content: str) -> str:
    """Escape a text, unless it is markup already."""
    return content if isinstance(content, Markup) else escape(content)


def link(text: str, url: str | None) -> str:
    """Write a link; the text alone where there is no page."""
    return Markup(f'<a href="{escape(url)}">{render(text)}</a>') if url else text


def code(text: str) -> Markup:
    """Write text as code."""
    return Markup(f"<code>{escape(text)}</code>")


def block(text: str, label: str) -> Markup:
    """Write a block of code with a button that copies it."""
    return Markup(
        f"<div class=block><button type=button data-copy>Copy</button>"
        f"<pre tabindex=0 aria-label={_quote(label)}>{escape(text)}</pre></div>"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> Markup:
    """Write a table that scrolls sideways where it is wide.

    Args:
        heads: The columns.
        rows: Their cells, texts or markup.
        numbers: Places of the columns that hold numbers.
    """
    kinds = [" class=number" if place in set(numbers) else "" for place in range(len(heads))]
    head = "".join(f"<th{kind}>{render(name)}</th>" for kind, name in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{render(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return Markup(f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def section(name: str, title: str, lead: str, *parts: str) -> Markup:
    """Write a section with its heading and a sentence that says what is seen."""
    told = f"<p class=lead>{render(lead)}</p>" if lead else ""
    return Markup(f"<section id={name}><h2>{escape(title)}</h2>{told}{''.join(parts)}</section>\n")


class Figures:
    """The figures of a page, drawn by its script when they come into view."""

    def __init__(self) -> None:
        self.drawn: dict[str, go.Figure] = {}

    def show(self, figure: go.Figure | None, name: str, label: str, otherwise: str = "") -> Markup:
        """Write the element that holds a figure on the page.

        Args:
            figure: What was drawn; None shows ``otherwise``.
            name: Its place's id.
            label: What a screen reader says of it.
            otherwise: Why there is none.
        """
        if figure is None:
            return Markup(f"<p class=none>{escape(otherwise)}</p>" if otherwise else "")
        self.drawn[name] = figure
        style = f"height:{figure.layout.height:g}px"
        return Markup(f'<div class=plot id={name} role=img aria-label={_quote(label)} style="{style}"></div>')


def _quote(text: str) -> str:
    return f'"{escape(text)}"'

"""Pages of runs: keyset cursors over any order, so that rows that move between pages are not lost."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from multistage.wandb_server.filters import NUMBERS, Clause, Field, resolve_field
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.store import Row, Store

DEFAULT_PAGE = 50
MAX_PAGE = 1000


@dataclass(frozen=True)
class Order:
    """One sort key; rows with equal values come in the order in which they were made.

    Of a config's or a summary's values, which may be of any kind, numbers come first in both directions, and what is
    missing last: the best run of a sweep has a finite value, if any has.
    """

    field: Field
    descending: bool

    @property
    def rank(self) -> Clause:
        """A value's kind, as a number that is sorted by first."""
        kind, parameters = self.field.kind, self.field.parameters
        if not kind:
            return Clause("0")
        return Clause(
            f"CASE WHEN {kind} IN {NUMBERS} AND abs({self.field.sql}) < 9e999 THEN 0 "
            f"WHEN {kind} IS NULL THEN 2 ELSE 1 END",
            parameters * 3,
        )


def parse_order(order: str | None) -> Order:
    """An order as the client writes it: ``+created_at``, ``-summary_metrics.loss``; ascending by default.

    Raises:
        RefusedError: No such column.
    """
    text = order or "+created_at"
    descending = text.startswith("-")
    return Order(resolve_field(text.lstrip("+-")), descending)


def fetch_page(store: Store, condition: Clause, order: Order, after: str | None, first: int | None) -> dict[str, Any]:
    """A connection of runs: edges with cursors, and whether there are more."""
    limit = clamp_page(first)
    seek, rank = _seek(order, after), order.rank
    direction = "DESC" if order.descending else "ASC"
    ranked = "sort_rank ASC, " if rank.parameters else ""
    rows = store.all(
        f"SELECT runs.*, {order.field.sql} AS sort_value, {rank.sql} AS sort_rank FROM runs "  # noqa: S608 - translated, no request text
        f"WHERE ({condition.sql}) AND ({seek.sql}) ORDER BY {ranked}sort_value {direction}, id ASC LIMIT ?",
        (*order.field.parameters, *rank.parameters, *condition.parameters, *seek.parameters, limit + 1),
    )
    page = rows[:limit]
    cursors = [_encode(row) for row in page]
    return {
        "edges": [{"node": row, "cursor": cursor} for row, cursor in zip(page, cursors, strict=True)],
        "pageInfo": {"endCursor": cursors[-1] if cursors else None, "hasNextPage": len(rows) > limit},
    }


def clamp_page(first: int | None) -> int:
    """A page's size within its bounds."""
    return max(0, min(DEFAULT_PAGE if first is None else first, MAX_PAGE))


def page_by_offset(rows: list[Any], after: str | None, first: int | None) -> dict[str, Any]:
    """A connection over a short list that is already in memory; the cursor is a position."""
    try:
        start = int(after) if after else 0
    except ValueError as error:
        raise RefusedError(f"Invalid cursor {after!r}.", 400) from error
    stop = start + clamp_page(first)
    return {
        "edges": [
            {"node": row, "cursor": str(position)} for position, row in enumerate(rows[start:stop], start=start + 1)
        ],
        "pageInfo": {"endCursor": str(min(stop, len(rows))), "hasNextPage": stop < len(rows)},
    }


def _encode(row: Row) -> str:
    return base64.urlsafe_b64encode(json.dumps([row["sort_value"], row["id"], row["sort_rank"]]).encode()).decode()


def _seek(order: Order, after: str | None) -> Clause:
    if not after:
        return Clause("1")
    try:
        value, row_id, place = json.loads(base64.urlsafe_b64decode(after))
        if not isinstance(row_id, int) or not isinstance(value, None | int | float | str) or place not in range(3):
            raise TypeError
    except (ValueError, TypeError, binascii.Error) as error:
        raise RefusedError(f"Invalid cursor {after[:60]!r}.", 400) from error
    rank, within = order.rank, _seek_within(order, value, row_id)
    if not rank.parameters:
        return within
    return Clause(
        f"{rank.sql} > ? OR ({rank.sql} = ? AND ({within.sql}))",
        (*rank.parameters, place, *rank.parameters, place, *within.parameters),
    )


def _seek_within(order: Order, value: float | str | None, row_id: int) -> Clause:
    """What comes after a value and a row, by the order's field alone."""
    sql, parameters = order.field.sql, order.field.parameters
    # In SQLite, NULL sorts before every value.
    match value, order.descending:
        case None, True:
            return Clause(f"{sql} IS NULL AND id > ?", (*parameters, row_id))
        case None, False:
            return Clause(f"{sql} IS NOT NULL OR id > ?", (*parameters, row_id))
        case _, True:
            return Clause(
                f"{sql} < ? OR {sql} IS NULL OR ({sql} = ? AND id > ?)",
                (*parameters, value, *parameters, *parameters, value, row_id),
            )
        case _:
            return Clause(f"{sql} > ? OR ({sql} = ? AND id > ?)", (*parameters, value, *parameters, value, row_id))

"""What runs can be found and sorted by, where no client's test could tell apart what they have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multistage.wandb_server.filters import MAX_DEPTH, translate_filters
from multistage.wandb_server.nodes import RefusedError
from multistage.wandb_server.pagination import fetch_page, parse_order
from multistage.wandb_server.store import Store

SECOND = 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Runs a, b, c of 10, 2.5 and 30 s, the last one of them in progress, and d that never began."""
    store = Store(tmp_path / "wandb.sqlite")
    store.insert("projects", entity="local", name="p", created_at=0)
    for name, started, ended, heard, tags in (
        ("a", 5, 15, 16, ["red", "round"]),
        ("b", 5, 7.5, 8, ["blue"]),
        ("c", 5, None, 35, ["red"]),
        ("d", None, None, 40, []),
    ):
        times = {"started_at": started, "ended_at": ended, "heartbeat_at": heard}
        store.insert(
            "runs",
            project_id=1,
            name=name,
            state="running",
            created_at=0,
            commit_hash=f"{name}1",
            tags=json.dumps(tags),
            **{key: None if time is None else int(time * SECOND) for key, time in times.items()},
        )
    yield store
    store.close()


def find(store: Store, filters: dict[str, Any], order: str = "+name", size: int = 10) -> str:
    names, after = "", None
    while True:
        page = fetch_page(store, translate_filters(json.dumps(filters)), parse_order(order), after, size)
        names += "".join(edge["node"]["name"] for edge in page["edges"])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return names


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"duration": {"$gt": 2.5}}, "ac"),
        ({"duration": {"$lte": 10}}, "ab"),
        ({"duration": 2.5}, "b"),
        ({"duration": {"$exists": False}}, "d"),
        ({"username": "local"}, "abcd"),
        ({"user": "somebody"}, ""),
        ({"username": {"$in": ["local", "you"]}}, "abcd"),
        ({"username": {"$regex": "^lo"}}, "abcd"),
        ({"commit": "b1"}, "b"),
        ({"tags": {"$all": ["red"]}}, "ac"),
        ({"tags": {"$all": ["red", "round"]}}, "a"),
        ({"tags": {"$all": []}}, ""),
        ({"tags": {"$exists": True}}, "abc"),
        ({"tags": {"$exists": False}}, "d"),
        ({"tags": {"$regex": "^r"}}, "ac"),
        ({"tags": {"$not": {"$regex": "^r"}}}, "bd"),
        ({"tags": {"$in": ["red", "blue"], "$nin": ["round"]}}, "bc"),
    ],
)
def test_runs_are_found(store: Store, filters: dict[str, Any], found: str) -> None:
    assert find(store, filters) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [("+duration", "dbac"), ("-duration", "cabd"), ("-commit", "dcba"), ("+username", "abcd"), ("-user", "abcd")],
)
@pytest.mark.parametrize("size", [1, 3, 10])
def test_runs_are_sorted(store: Store, order: str, found: str, size: int) -> None:
    assert find(store, {}, order, size) == found


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"tags": {"$size": 1}}, "not by '$size'"),
        ({"tags": {"$all": "red"}}, "needs a list"),
        ({"tags": {"$regex": "("}}, "is not a regular expression"),
    ],
)
def test_what_tags_cannot_be_found_by_is_refused(filters: dict[str, Any], told: str) -> None:
    with pytest.raises(RefusedError, match=re.escape(told)):
        translate_filters(json.dumps(filters))


def test_tags_are_nested_no_deeper_than_others() -> None:
    condition: dict[str, Any] = {"$regex": "x"}
    for _ in range(MAX_DEPTH + 2):
        condition = {"$not": condition}
    with pytest.raises(RefusedError, match="nested more than"):
        translate_filters(json.dumps({"tags": condition}))

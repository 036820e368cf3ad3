"""Artifacts, found: collections, versions, and the places that versions have in collections."""

import json
from dataclasses import dataclass
from typing import Any

from multistage.wandb_server.nodes import RefusedError, decode_node, encode_node
from multistage.wandb_server.store import Reader, Row

SEQUENCE = "sequence"
"""A collection of what runs log under one name."""
PORTFOLIO = "portfolio"
"""A collection of links to versions of sequences."""
LATEST = "latest"
"""The alias that goes to every new version by itself."""


@dataclass(frozen=True)
class Member:
    """A version's place in a collection.

    Args:
        collection: Where it is logged, or linked.
        artifact: The version.
        index: Its number there; None before it is committed.
        made: When it came there, in microseconds since 1970.
    """

    collection: Row
    artifact: Row
    index: int | None
    made: int


def decode_number(kind: Any, node_id: str | None, prefix: tuple[str, ...] = ()) -> int | None:
    """The number of a row in a node id; None where it is another kind's."""
    parts = decode_node(kind, node_id or "")
    if tuple(parts[:-1]) != prefix or not parts or not parts[-1].isdecimal() or len(parts[-1]) > 18:
        return None
    return int(parts[-1])


def find_artifact(store: Reader, node_id: str | None) -> Row | None:
    """An artifact by its node id."""
    number = decode_number("Artifact", node_id)
    return None if number is None else store.one("SELECT * FROM artifacts WHERE id = ?", (number,))


def require_artifact(store: Reader, node_id: str | None) -> Row:
    """An artifact by its node id.

    Raises:
        RefusedError: There is none (404).
    """
    artifact = find_artifact(store, node_id)
    if artifact is None:
        raise RefusedError(f"Artifact {str(node_id)[:60]!r} not found.", 404)
    return artifact


def find_collection(store: Reader, project_id: int, name: str) -> Row | None:
    """A collection by its name."""
    return store.one("SELECT * FROM artifact_collections WHERE project_id = ? AND name = ?", (project_id, name))


def find_collection_node(store: Reader, node_id: str | None) -> Row | None:
    """A collection by its node id."""
    number = decode_number("Collection", node_id)
    return None if number is None else store.one("SELECT * FROM artifact_collections WHERE id = ?", (number,))


def require_collection(store: Reader, node_id: str | None, kind: str) -> Row:
    """A collection by its node id and kind.

    Raises:
        RefusedError: There is none (404).
    """
    collection = find_collection_node(store, node_id)
    if collection is None or collection["kind"] != kind:
        raise RefusedError(f"Artifact collection {str(node_id)[:60]!r} not found.", 404)
    return collection


def get_collection(store: Reader, artifact: Row) -> Row:
    """The sequence of an artifact."""
    return get_collection_row(store, artifact["collection_id"])


def get_collection_row(store: Reader, collection_id: int) -> Row:
    """The collection of a row that names it."""
    collection = store.one("SELECT * FROM artifact_collections WHERE id = ?", (collection_id,))
    assert collection is not None  # noqa: S101 - a foreign key
    return collection


def list_members(store: Reader, collection: Row) -> list[Member]:
    """Every version of a collection, the newest first, those that are not committed among them."""
    if collection["kind"] == SEQUENCE:
        rows = store.all("SELECT * FROM artifacts WHERE collection_id = ? ORDER BY id DESC", (collection["id"],))
        return [join_sequence(collection, row) for row in rows]
    rows = store.all(
        "SELECT artifacts.*, link.version_index AS link_index, link.created_at AS linked_at "
        "FROM artifact_links AS link JOIN artifacts ON artifacts.id = link.artifact_id "
        "WHERE link.collection_id = ? ORDER BY link.id DESC",
        (collection["id"],),
    )
    return [Member(collection, row, row["link_index"], row["linked_at"]) for row in rows]


def join_sequence(collection: Row, artifact: Row) -> Member:
    """A version's place in its own sequence."""
    return Member(collection, artifact, artifact["version_index"], artifact["created_at"])


def list_memberships(store: Reader, artifact: Row) -> list[Member]:
    """Every place of a version: in its sequence, and where it is linked."""
    links = store.all("SELECT * FROM artifact_links WHERE artifact_id = ? ORDER BY id", (artifact["id"],))
    return [
        join_sequence(get_collection(store, artifact), artifact),
        *(
            Member(
                get_collection_row(store, link["collection_id"]), artifact, link["version_index"], link["created_at"]
            )
            for link in links
        ),
    ]


def find_member(store: Reader, collection: Row, alias: str) -> Member | None:
    """A version of a collection by its alias or ``v3``."""
    named = store.value(
        "SELECT artifact_id FROM artifact_aliases WHERE collection_id = ? AND alias = ?", (collection["id"], alias)
    )
    number = int(alias[1:]) if alias[:1] == "v" and alias[1:].isdecimal() and len(alias) < 12 else None
    if named is None and number is None:
        return None
    if collection["kind"] == SEQUENCE:
        column, value = ("id", named) if named is not None else ("version_index", number)
        row = store.one(
            f"SELECT * FROM artifacts WHERE collection_id = ? AND {column} = ?",  # noqa: S608
            (collection["id"], value),
        )
        return None if row is None else join_sequence(collection, row)
    for member in list_members(store, collection):
        if member.artifact["id"] == named if named is not None else member.index == number:
            return member
    return None


def split_name(name: str) -> tuple[str, str]:
    """A collection's name and an alias, of ``name:alias``; the alias is ``latest`` where none is given."""
    collection, _, alias = name.partition(":")
    return collection, alias or LATEST


def find_named(store: Reader, project_id: int, name: str) -> Member | None:
    """A version by ``name:alias``."""
    collection_name, alias = split_name(name)
    collection = find_collection(store, project_id, collection_name)
    return find_member(store, collection, alias) if collection else None


def list_aliases(store: Reader, artifact: Row, collection: Row | None = None) -> list[Row]:
    """A version's aliases, of one collection or of all."""
    if collection is None:
        return store.all("SELECT * FROM artifact_aliases WHERE artifact_id = ? ORDER BY alias", (artifact["id"],))
    return store.all(
        "SELECT * FROM artifact_aliases WHERE artifact_id = ? AND collection_id = ? ORDER BY alias",
        (artifact["id"], collection["id"]),
    )


def name_collection_type(collection: Any) -> str:
    """The GraphQL type of a collection."""
    return "ArtifactSequence" if collection["kind"] == SEQUENCE else "ArtifactPortfolio"


def make_tags(row: Row) -> list[dict[str, str]]:
    """The tags of an artifact or a collection."""
    return [{"id": encode_node("Tag", name), "name": name} for name in json.loads(row["tags"])]

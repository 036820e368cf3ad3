"""Collections of artifacts: listed, changed, deleted, filled with links."""

import json
from typing import Any

from multistage.wandb_server.artifact_filters import order_by, read_filter, select
from multistage.wandb_server.artifact_nodes import (
    LATEST,
    PORTFOLIO,
    SEQUENCE,
    Member,
    find_collection,
    get_collection,
    make_tags,
    require_artifact,
    require_collection,
)
from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.nodes import (
    DEFAULT_ENTITY,
    RefusedError,
    check_name,
    ensure_project,
    find_project,
    get_project,
)
from multistage.wandb_server.pagination import page_by_offset
from multistage.wandb_server.store import Row, dump_json, format_time

MAX_TAGS = 100
REGISTRY = "wandb-registry-"
"""What the projects of a registry are called."""


def page_collections(
    request: Request,
    rows: list[Row],
    after: str | None = None,
    first: int | None = None,
    filters: str | None = None,
    order: str | None = None,
) -> dict[str, Any]:
    """A page of those collections that a client wants."""
    request.spend(1 + len(rows) // 10)
    condition = read_filter(filters)
    kept = order_by([row for row in rows if select(condition, _describe(row))], _describe, order)
    return {**page_by_offset(kept, after, first), "totalCount": len(kept)}


def _describe(collection: Row) -> dict[str, Any]:
    return {
        "id": collection["id"],
        "name": collection["name"],
        "type": collection["type"],
        "description": collection["description"],
        "state": "READY",
        "created_at": format_time(collection["created_at"]),
        "updated_at": format_time(collection["updated_at"]),
        "tags": json.loads(collection["tags"]),
        "tag": json.loads(collection["tags"]),
    }


def _page_project_collections(
    project: Row,
    request: Request,
    collectionTypes: list[str] | None = None,  # noqa: N803
    **arguments: Any,
) -> dict[str, Any]:
    rows = request.store.all(
        "SELECT * FROM artifact_collections WHERE project_id = ? ORDER BY id DESC", (project["id"],)
    )
    if collectionTypes is not None:
        rows = [row for row in rows if row["kind"].upper() in collectionTypes]
    return page_collections(request, rows, **arguments)


def ensure_collection(request: Request, project: Row, name: str, artifact_type: str, kind: str) -> Row:
    """A collection by its name, made when it is missing.

    Raises:
        RefusedError: There is one of another type or kind.
    """
    store = request.store
    collection = find_collection(store, project["id"], check_name("artifact", name))
    if collection is None:
        now = store.tick()
        store.insert(
            "artifact_collections",
            project_id=project["id"],
            name=name,
            type=artifact_type,
            kind=kind,
            created_at=now,
            updated_at=now,
        )
        collection = find_collection(store, project["id"], name)
    assert collection is not None  # noqa: S101 - just made
    if collection["type"] != artifact_type:
        raise RefusedError(
            f"The artifact {name!r} has the type {collection['type']!r}, not {artifact_type[:40]!r}.", 400
        )
    if collection["kind"] != kind:
        what = "takes links" if collection["kind"] == PORTFOLIO else "takes what runs log"
        raise RefusedError(f"The collection {name!r} {what} only; use another name.", 400)
    return collection


def _update(kind: str, key: str) -> Any:
    def update(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
        given = arguments["input"]
        store = request.store
        collection = require_collection(store, given[key], kind)
        changes = {name: given[name] for name in ("name", "description") if given.get(name) is not None}
        if "name" in changes and changes["name"] != collection["name"]:
            check_name("artifact", changes["name"])
            if find_collection(store, collection["project_id"], changes["name"]) is not None:
                raise RefusedError(f"There is a collection {changes['name']!r} already.", 409)
        return {"artifactCollection": _change(request, collection, **changes)}

    return update


def _move(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    collection = require_collection(request.store, given["artifactSequenceID"], SEQUENCE)
    kind = check_name("artifact type", given["destinationArtifactTypeName"])
    return {"artifactCollection": _change(request, collection, type=kind)}


def _change(request: Request, collection: Row, **changes: Any) -> Row:
    store = request.store
    with store.transaction():
        store.update("artifact_collections", collection["id"], **changes, updated_at=store.tick())
        changed = store.one("SELECT * FROM artifact_collections WHERE id = ?", (collection["id"],))
    assert changed is not None  # noqa: S101 - just changed
    return changed


def _delete(kind: str, key: str) -> Any:
    def delete(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
        collection = require_collection(request.store, arguments["input"][key], kind)
        with request.store.transaction():
            for artifact in request.store.all("SELECT * FROM artifacts WHERE collection_id = ?", (collection["id"],)):
                delete_artifact(request, artifact)
            request.store.execute("DELETE FROM artifact_aliases WHERE collection_id = ?", (collection["id"],))
            request.store.execute("DELETE FROM artifact_collections WHERE id = ?", (collection["id"],))
        return {"artifactCollection": collection}

    return delete


def merge_tags(row: Row, added: list[dict[str, Any]] | None, taken: list[dict[str, Any]] | None) -> str:
    """The tags of an artifact or a collection after a change, as they are stored."""
    names = [*json.loads(row["tags"]), *(check_name("tag", tag["tagName"]) for tag in added or [])]
    gone = {tag["tagName"] for tag in taken or []}
    kept = [name for name in dict.fromkeys(names) if name not in gone]
    if len(kept) > MAX_TAGS:
        raise RefusedError(f"{len(kept)} tags; the limit is {MAX_TAGS}.", 400)
    return dump_json(kept)


def _find_tagged(request: Request, given: dict[str, Any]) -> Row:
    project = find_project(request.store, given["entityName"], given["projectName"])
    name = given["artifactCollectionName"]
    collection = find_collection(request.store, project["id"], name) if project else None
    if collection is None:
        raise RefusedError(f"Artifact collection {name[:60]!r} not found.", 404)
    return collection


def _add_tags(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    collection = _find_tagged(request, given)
    changed = _change(request, collection, tags=merge_tags(collection, given["tags"], None))
    return {"tags": make_tags(changed)}


def _take_tags(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    collection = _find_tagged(request, given)
    _change(request, collection, tags=merge_tags(collection, None, given["tags"]))
    return {"success": True}


def give_aliases(request: Request, collection: Row, artifact: Row, aliases: list[str]) -> None:
    """Let aliases of a collection point to one of its versions, and to no other."""
    for alias in aliases:
        request.store.execute(
            "INSERT OR REPLACE INTO artifact_aliases (collection_id, alias, artifact_id) VALUES (?, ?, ?)",
            (collection["id"], check_name("alias", alias), artifact["id"]),
        )


def _link(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    store = request.store
    artifact = _find_linked(request, given)
    with store.transaction():
        collection = _find_portfolio(request, given, get_collection(store, artifact))
        where = (collection["id"], artifact["id"])
        found = store.one("SELECT * FROM artifact_links WHERE collection_id = ? AND artifact_id = ?", where)
        if found is None:
            latest = store.value(
                "SELECT max(version_index) FROM artifact_links WHERE collection_id = ?", (collection["id"],)
            )
            now = store.tick()
            index = 0 if latest is None else latest + 1
            store.insert(
                "artifact_links",
                collection_id=collection["id"],
                artifact_id=artifact["id"],
                version_index=index,
                created_at=now,
            )
            store.update("artifact_collections", collection["id"], updated_at=now)
            found = store.one("SELECT * FROM artifact_links WHERE collection_id = ? AND artifact_id = ?", where)
        assert found is not None  # noqa: S101 - just made
        give_aliases(request, collection, artifact, [LATEST, *(alias["alias"] for alias in given.get("aliases") or [])])
    member = Member(collection, artifact, found["version_index"], found["created_at"])
    return {"versionIndex": found["version_index"], "artifactMembership": member}


def _find_linked(request: Request, given: dict[str, Any]) -> Row:
    if given.get("artifactID"):
        artifact = require_artifact(request.store, given["artifactID"])
    else:
        found = request.store.one(
            "SELECT * FROM artifacts WHERE client_id = ? ORDER BY id DESC LIMIT 1", (given.get("clientID"),)
        )
        if found is None:
            raise RefusedError("The artifact to be linked was not found.", 404)
        artifact = found
    if artifact["state"] != "COMMITTED":
        raise RefusedError("The artifact to be linked is not complete yet.", 400)
    return artifact


def _find_portfolio(request: Request, given: dict[str, Any], source: Row) -> Row:
    if given.get("artifactPortfolioID"):
        return require_collection(request.store, given["artifactPortfolioID"], PORTFOLIO)
    name, project_name = given.get("artifactPortfolioName") or "", given.get("projectName") or ""
    if project_name.startswith(REGISTRY):
        raise RefusedError(f"This server has no registry: {project_name[:60]!r} cannot be linked to.", 400)
    home = get_project(request.store, source["project_id"])
    project = (
        ensure_project(request.store, given.get("entityName") or DEFAULT_ENTITY, project_name) if project_name else home
    )
    return ensure_collection(request, project, name, source["type"], PORTFOLIO)


def _unlink(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    store = request.store
    collection = require_collection(store, given["artifactPortfolioID"], PORTFOLIO)
    artifact = require_artifact(store, given["artifactID"])
    with store.transaction():
        for table in ("artifact_aliases", "artifact_links"):
            store.execute(
                f"DELETE FROM {table} WHERE collection_id = ? AND artifact_id = ?",  # noqa: S608 - named above
                (collection["id"], artifact["id"]),
            )
        move_latest(request, collection)
    return {"success": True}


def delete_artifact(request: Request, artifact: Row) -> None:
    """Delete a version, with its aliases and links."""
    collection = get_collection(request.store, artifact)
    linked = request.store.all("SELECT collection_id FROM artifact_links WHERE artifact_id = ?", (artifact["id"],))
    request.store.execute("DELETE FROM artifacts WHERE id = ?", (artifact["id"],))
    move_latest(request, collection)
    for link in linked:
        portfolio = request.store.one("SELECT * FROM artifact_collections WHERE id = ?", (link["collection_id"],))
        assert portfolio is not None  # noqa: S101 - a foreign key
        move_latest(request, portfolio)


def move_latest(request: Request, collection: Row) -> None:
    """Let ``latest`` point to the newest version that is left."""
    store = request.store
    table, column = ("artifacts", "id") if collection["kind"] == SEQUENCE else ("artifact_links", "artifact_id")
    newest = store.value(
        f"SELECT {column} FROM {table} WHERE collection_id = ? AND version_index IS NOT NULL "  # noqa: S608
        "ORDER BY version_index DESC LIMIT 1",
        (collection["id"],),
    )
    if newest is not None:
        store.execute(
            "INSERT OR IGNORE INTO artifact_aliases (collection_id, alias, artifact_id) VALUES (?, ?, ?)",
            (collection["id"], LATEST, newest),
        )


RESOLVERS: Resolvers = {
    "Mutation": {
        "updateArtifactSequence": _update(SEQUENCE, "artifactSequenceID"),
        "updateArtifactPortfolio": _update(PORTFOLIO, "artifactPortfolioID"),
        "moveArtifactSequence": _move,
        "deleteArtifactSequence": _delete(SEQUENCE, "artifactSequenceID"),
        "deleteArtifactPortfolio": _delete(PORTFOLIO, "artifactPortfolioID"),
        "createArtifactCollectionTagAssignments": _add_tags,
        "deleteArtifactCollectionTagAssignments": _take_tags,
        "linkArtifact": _link,
        "unlinkArtifact": _unlink,
    },
    "Project": {"artifactCollections": _page_project_collections},
    "ArtifactSequence": {
        "project": lambda collection, request: get_project(request.store, collection["project_id"]),
    },
    "ArtifactPortfolio": {
        "project": lambda collection, request: get_project(request.store, collection["project_id"]),
    },
}

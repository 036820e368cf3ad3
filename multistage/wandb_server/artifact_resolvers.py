"""Artifacts, read: collections, versions, aliases, manifests."""

from collections.abc import Mapping
from typing import Any

from multistage.wandb_server.context import Request, Resolver, Resolvers
from multistage.wandb_server.nodes import (
    RefusedError,
    decode_node,
    encode_node,
    get_project,
    get_run,
    parse_object,
)
from multistage.wandb_server.pagination import page_by_offset
from multistage.wandb_server.store import Row, Store, format_time

MAX_MANIFEST = 50_000_000
NO_TAGS: dict[str, list[Any]] = {"edges": []}


def find_artifact(store: Store, node_id: str) -> Row | None:
    """An artifact by its node id."""
    match decode_node("Artifact", node_id):
        case [number] if number.isdecimal() and len(number) < 19:
            return store.one("SELECT * FROM artifacts WHERE id = ?", (int(number),))
        case _:
            return None


def require_artifact(store: Store, node_id: str) -> Row:
    """An artifact by its node id.

    Raises:
        RefusedError: There is none (404).
    """
    artifact = find_artifact(store, node_id)
    if artifact is None:
        raise RefusedError(f"Artifact {node_id[:60]!r} not found.", 404)
    return artifact


def find_collection(store: Store, project_id: int, name: str) -> Row | None:
    """A collection by its name."""
    return store.one("SELECT * FROM artifact_collections WHERE project_id = ? AND name = ?", (project_id, name))


def get_collection(store: Store, artifact: Row) -> Row:
    """The collection of an artifact."""
    collection = store.one("SELECT * FROM artifact_collections WHERE id = ?", (artifact["collection_id"],))
    assert collection is not None  # noqa: S101 - a foreign key
    return collection


def find_version(store: Store, collection: Row, alias: str) -> Row | None:
    """A version of a collection by its alias or ``v3``."""
    found = store.one(
        "SELECT artifacts.* FROM artifact_aliases JOIN artifacts ON artifacts.id = artifact_id "
        "WHERE artifact_aliases.collection_id = ? AND alias = ?",
        (collection["id"], alias),
    )
    if found is None and alias[:1] == "v" and alias[1:].isdecimal() and len(alias) < 12:
        found = store.one(
            "SELECT * FROM artifacts WHERE collection_id = ? AND version_index = ?",
            (collection["id"], int(alias[1:])),
        )
    return found


def manifest_name(artifact: Row) -> str:
    """What an artifact's manifest is stored under."""
    return f"manifest-{artifact['id']}"


def read_manifest(request: Request, artifact: Row) -> dict[str, Any]:
    """The entries of an artifact's manifest, by path.

    Raises:
        RefusedError: It was not uploaded, or is no manifest.
    """
    project_id = get_collection(request.store, artifact)["project_id"]
    path = request.state.storage.locate_blob(project_id, manifest_name(artifact))
    if not path.exists():
        raise RefusedError("The artifact's manifest was not uploaded.", 400)
    if path.stat().st_size > MAX_MANIFEST:
        raise RefusedError(f"The artifact's manifest is larger than {MAX_MANIFEST} bytes.", 400)
    contents = parse_object("The manifest", path.read_text(errors="replace")).get("contents")
    if not isinstance(contents, dict) or not all(isinstance(entry, dict) for entry in contents.values()):
        raise RefusedError("The artifact's manifest has no contents.", 400)
    return contents


def _find_named(project: Row, request: Request, name: str) -> Row | None:
    collection_name, _, alias = name.partition(":")
    collection = find_collection(request.store, project["id"], collection_name)
    return find_version(request.store, collection, alias or "latest") if collection else None


def _join(collection: Row, artifact: Row | None) -> dict[str, Any] | None:
    """A version's membership in its collection."""
    return None if artifact is None else {"collection": collection, "artifact": artifact}


def _find_membership(project: Row, request: Request, name: str) -> dict[str, Any] | None:
    artifact = _find_named(project, request, name)
    return _join(get_collection(request.store, artifact), artifact) if artifact else None


def _find_collection_membership(collection: Row, request: Request, aliasName: str) -> dict[str, Any] | None:  # noqa: N803
    return _join(collection, find_version(request.store, collection, aliasName))


def _find_type(project: Row, request: Request, name: str) -> dict[str, Any] | None:
    first = request.store.one(
        "SELECT * FROM artifact_collections WHERE project_id = ? AND type = ? ORDER BY id LIMIT 1",
        (project["id"], name),
    )
    return make_type(first) if first else None


def make_type(collection: Row) -> dict[str, Any]:
    """The type of a collection's artifacts."""
    return {
        "id": encode_node("ArtifactType", collection["project_id"], collection["type"]),
        "name": collection["type"],
        "project_id": collection["project_id"],
        "created": collection["created_at"],
    }


def _page_types(project: Row, request: Request, after: str | None = None, first: int | None = None) -> dict[str, Any]:
    rows = request.store.all(
        "SELECT * FROM artifact_collections WHERE project_id = ? GROUP BY type ORDER BY min(id)", (project["id"],)
    )
    request.spend(1 + len(rows))
    return page_by_offset([make_type(row) for row in rows], after, first)


def _find_typed_collection(kind: dict[str, Any], request: Request, name: str) -> Row | None:
    collection = find_collection(request.store, kind["project_id"], name)
    return collection if collection is not None and collection["type"] == kind["name"] else None


def _page_collections(
    kind: dict[str, Any], request: Request, after: str | None = None, first: int | None = None
) -> dict[str, Any]:
    rows = request.store.all(
        "SELECT * FROM artifact_collections WHERE project_id = ? AND type = ? ORDER BY id DESC",
        (kind["project_id"], kind["name"]),
    )
    request.spend(1 + len(rows))
    return {**page_by_offset(rows, after, first), "totalCount": len(rows)}


def _page_versions(
    request: Request, condition: str, value: int, after: str | None, first: int | None
) -> dict[str, Any]:
    rows = request.store.all(
        f"SELECT * FROM artifacts WHERE {condition} AND state = 'COMMITTED' ORDER BY id DESC",  # noqa: S608
        (value,),
    )
    request.spend(1 + len(rows))
    page = page_by_offset(rows, after, first)
    for edge in page["edges"]:
        edge["version"] = f"v{edge['node']['version_index']}"
    return {**page, "totalCount": len(rows)}


def _list_aliases(artifact: Row, request: Request) -> list[Row]:
    return request.store.all("SELECT * FROM artifact_aliases WHERE artifact_id = ?", (artifact["id"],))


def _link_manifest(artifact: Row, request: Request) -> dict[str, Any]:
    project_id = get_collection(request.store, artifact)["project_id"]
    name = manifest_name(artifact)
    storage = request.state.storage
    return {
        "id": encode_node("Artifact", "manifest", artifact["id"]),
        "file": {
            "id": encode_node("File", name),
            "name": name,
            "directUrl": storage.link_blob(request.base_url, "GET", project_id, name),
            "uploadUrl": storage.link_blob(request.base_url, "PUT", project_id, name),
            "uploadHeaders": [],
        },
    }


def _link_entry(request: Request, project_id: int, path: str, entry: dict[str, Any]) -> dict[str, Any]:
    digest = str(entry.get("digest"))
    return {
        "size": entry.get("size"),
        "id": encode_node("File", digest),
        "name": path,
        "directUrl": request.state.storage.link_blob(request.base_url, "GET", project_id, digest),
    }


def _page_entries(
    membership: dict[str, Any], request: Request, after: str | None = None, first: int | None = None
) -> dict[str, Any]:
    project_id = membership["collection"]["project_id"]
    entries = [
        (path, entry) for path, entry in read_manifest(request, membership["artifact"]).items() if "ref" not in entry
    ]
    page = page_by_offset(entries, after, first)
    for edge in page["edges"]:
        edge["node"] = _link_entry(request, project_id, *edge["node"])
    return page


def _link_entries(artifact: Row, request: Request, entries: Any = None, **_: Any) -> dict[str, Any]:
    project_id = get_collection(request.store, artifact)["project_id"]
    manifest = read_manifest(request, artifact)
    wanted = entries if isinstance(entries, list) else []
    request.spend(1 + len(wanted) // 10)
    names = [str(entry.get("name")) for entry in wanted if isinstance(entry, dict)]
    edges = [{"node": _link_entry(request, project_id, name, manifest[name])} for name in names if name in manifest]
    return {"edges": edges, "pageInfo": {"hasNextPage": False, "endCursor": None}}


def _list_users(artifact: Row, request: Request) -> dict[str, Any]:
    rows = request.store.all(
        "SELECT runs.* FROM artifact_uses JOIN runs ON runs.id = run_id WHERE artifact_id = ? ORDER BY runs.id",
        (artifact["id"],),
    )
    request.spend(1 + len(rows))
    return page_by_offset(rows, None, len(rows))


def _map_client_id(_: Any, request: Request, clientID: str) -> dict[str, str] | None:  # noqa: N803
    found = request.store.value("SELECT id FROM artifacts WHERE client_id = ? ORDER BY id DESC LIMIT 1", (clientID,))
    return None if found is None else {"serverID": encode_node("Artifact", found)}


COLLECTION: Mapping[str, Resolver] = {
    "id": lambda collection, _: encode_node("Collection", collection["id"]),
    "project": lambda collection, request: get_project(request.store, collection["project_id"]),
    "type": lambda collection, _: make_type(collection),
    "tags": lambda _, __: NO_TAGS,
    "artifactMembership": _find_collection_membership,
    "artifacts": lambda collection, request, after=None, first=None, **_: _page_versions(
        request, "collection_id = ?", collection["id"], after, first
    ),
    "aliases": lambda collection, request, after=None, first=None: page_by_offset(
        request.store.all("SELECT * FROM artifact_aliases WHERE collection_id = ?", (collection["id"],)), after, first
    ),
}

RESOLVERS: Resolvers = {
    "Query": {
        "artifact": lambda _, request, id: find_artifact(request.store, id),  # noqa: A006 - the field's argument
        "clientIDMapping": _map_client_id,
    },
    "Project": {
        "artifact": _find_named,
        "artifactType": _find_type,
        "artifactTypes": _page_types,
        "artifactCollection": lambda project, request, name: find_collection(request.store, project["id"], name),
        "artifactCollectionMembership": _find_membership,
    },
    "Run": {
        "outputArtifacts": lambda run, request, after=None, first=None: _page_versions(
            request, "run_id = ?", run["id"], after, first
        ),
        "inputArtifacts": lambda run, request, after=None, first=None: _page_versions(
            request, "id IN (SELECT artifact_id FROM artifact_uses WHERE run_id = ?)", run["id"], after, first
        ),
    },
    "ArtifactType": {
        "createdAt": lambda kind, _: format_time(kind["created"]),
        "artifactCollection": _find_typed_collection,
        "artifactCollections": _page_collections,
    },
    "ArtifactSequence": {
        **COLLECTION,
        "latestArtifact": lambda collection, request: find_version(request.store, collection, "latest"),
        "digestAlgorithm": lambda _, __: None,
    },
    "Artifact": {
        "id": lambda artifact, _: encode_node("Artifact", artifact["id"]),
        "artifactSequence": lambda artifact, request: get_collection(request.store, artifact),
        "artifactType": lambda artifact, request: make_type(get_collection(request.store, artifact)),
        "metadata": lambda artifact, _: artifact["metadata"] or "{}",
        "ttlDurationSeconds": lambda _, __: -2,
        "ttlIsInherited": lambda _, __: True,
        "tags": lambda _, __: [],
        "aliases": _list_aliases,
        "currentManifest": _link_manifest,
        "createdBy": lambda artifact, request: (
            get_run(request.store, artifact["run_id"]) if artifact["run_id"] else None
        ),
        "usedBy": _list_users,
        "filesByManifestEntries": _link_entries,
    },
    "ArtifactAlias": {
        "id": lambda alias, _: encode_node("Alias", alias["collection_id"], alias["alias"]),
        "artifactCollection": lambda alias, request: request.store.one(
            "SELECT * FROM artifact_collections WHERE id = ?", (alias["collection_id"],)
        ),
    },
    "ArtifactCollectionMembership": {
        "id": lambda membership, _: encode_node("Artifact", membership["artifact"]["id"]),
        "versionIndex": lambda membership, _: membership["artifact"]["version_index"],
        "createdAt": lambda membership, _: format_time(membership["artifact"]["created_at"]),
        "aliases": lambda membership, request: _list_aliases(membership["artifact"], request),
        "artifactCollection": lambda membership, _: membership["collection"],
        "files": _page_entries,
    },
}

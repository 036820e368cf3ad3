"""Artifacts, read: types, versions, aliases."""

import json
from collections.abc import Mapping
from typing import Any

from multistage.wandb_server.artifact_collections import page_collections
from multistage.wandb_server.artifact_filters import order_by, read_filter, select
from multistage.wandb_server.artifact_manifests import encode_manifest, manifest_name
from multistage.wandb_server.artifact_nodes import (
    LATEST,
    Member,
    find_artifact,
    find_collection,
    find_collection_node,
    find_member,
    find_named,
    get_collection,
    get_collection_row,
    join_sequence,
    list_aliases,
    list_members,
    list_memberships,
    make_tags,
)
from multistage.wandb_server.context import Request, Resolver, Resolvers
from multistage.wandb_server.nodes import encode_node, get_run
from multistage.wandb_server.pagination import page_by_offset
from multistage.wandb_server.projects import USER
from multistage.wandb_server.store import Reader, Row, format_time

NO_TTL = -2
"""As the client writes that a version is kept for ever."""


def _find_artifact_named(project: Row, request: Request, name: str) -> Row | None:
    member = find_named(request.store, project["id"], name)
    return member.artifact if member else None


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


def _page_typed_collections(kind: dict[str, Any], request: Request, **arguments: Any) -> dict[str, Any]:
    rows = request.store.all(
        "SELECT * FROM artifact_collections WHERE project_id = ? AND type = ? ORDER BY id DESC",
        (kind["project_id"], kind["name"]),
    )
    return page_collections(request, rows, **arguments)


def page_members(
    request: Request,
    members: list[Member],
    after: str | None = None,
    first: int | None = None,
    order: str | None = None,
    filters: str | None = None,
) -> dict[str, Any]:
    """Versions in their places, a page of those that a client wants."""
    request.spend(1 + len(members) // 10)
    condition = read_filter(filters)
    known: dict[int, dict[str, Any]] = {}

    def describe(member: Member) -> dict[str, Any]:
        key = member.artifact["id"]
        if key not in known:
            known[key] = _describe(request.store, member)
        return known[key]

    kept = [member for member in members if member.artifact["state"] == "COMMITTED"]
    kept = order_by(
        [member for member in kept if not condition or select(condition, describe(member))], describe, order
    )
    page = page_by_offset(kept, after, first)
    for edge in page["edges"]:
        edge["version"] = f"v{edge['node'].index}"
        edge["node"] = edge["node"].artifact
    return {**page, "totalCount": len(kept)}


def _describe(store: Reader, member: Member) -> dict[str, Any]:
    artifact = member.artifact
    tags = json.loads(artifact["tags"])
    aliases = [row["alias"] for row in list_aliases(store, artifact, member.collection)]
    return {
        "id": artifact["id"],
        "state": artifact["state"],
        "version_index": member.index,
        "digest": artifact["digest"],
        "size": artifact["size"],
        "file_count": artifact["file_count"],
        "description": artifact["description"],
        "created_at": format_time(artifact["created_at"]),
        "updated_at": format_time(artifact["updated_at"]),
        "metadata": json.loads(artifact["metadata"] or "{}"),
        "tags": tags,
        "tag": tags,
        "alias": aliases,
        "aliases": aliases,
    }


def _page_own(request: Request, condition: str, value: int, after: str | None, first: int | None) -> dict[str, Any]:
    rows = request.store.all(f"SELECT * FROM artifacts WHERE {condition} ORDER BY id DESC", (value,))  # noqa: S608
    members = [join_sequence(get_collection(request.store, row), row) for row in rows]
    return page_members(request, members, after, first)


def _link_manifest(artifact: Row, request: Request) -> dict[str, Any]:
    project_id = get_collection(request.store, artifact)["project_id"]
    name = manifest_name(artifact)
    link = request.state.storage.link_blob(request.base_url, "GET", project_id, name)
    file = {"id": encode_node("File", name), "name": name, "directUrl": link}
    return {"id": encode_manifest(0), "file": file}


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


def _find_latest(collection: Row, request: Request) -> Row | None:
    member = find_member(request.store, collection, LATEST)
    return member.artifact if member else None


def _find_membership(collection: Row, request: Request, aliasName: str) -> Member | None:  # noqa: N803
    return find_member(request.store, collection, aliasName)


COLLECTION: Mapping[str, Resolver] = {
    "id": lambda collection, _: encode_node("Collection", collection["id"]),
    "state": lambda _, __: "READY",
    "type": lambda collection, _: make_type(collection),
    "defaultArtifactType": lambda collection, _: make_type(collection),
    "tags": lambda collection, _: {"edges": [{"node": tag} for tag in make_tags(collection)]},
    "artifactMembership": _find_membership,
    "artifacts": lambda collection, request, **arguments: page_members(
        request, list_members(request.store, collection), **arguments
    ),
    "aliases": lambda collection, request, after=None, first=None: page_by_offset(
        request.store.all("SELECT * FROM artifact_aliases WHERE collection_id = ?", (collection["id"],)), after, first
    ),
}

RESOLVERS: Resolvers = {
    "Query": {
        "artifact": lambda _, request, id: find_artifact(request.store, id),  # noqa: A006 - the field's argument
        "artifactCollection": lambda _, request, id: find_collection_node(request.store, id),  # noqa: A006
        "clientIDMapping": _map_client_id,
    },
    "Project": {
        "artifact": _find_artifact_named,
        "artifactType": _find_type,
        "artifactTypes": _page_types,
        "artifactCollection": lambda project, request, name: find_collection(request.store, project["id"], name),
        "artifactCollectionMembership": lambda project, request, name: find_named(request.store, project["id"], name),
    },
    "Run": {
        "outputArtifacts": lambda run, request, after=None, first=None: _page_own(
            request, "run_id = ?", run["id"], after, first
        ),
        "inputArtifacts": lambda run, request, after=None, first=None: _page_own(
            request, "id IN (SELECT artifact_id FROM artifact_uses WHERE run_id = ?)", run["id"], after, first
        ),
    },
    "ArtifactType": {
        "createdAt": lambda kind, _: format_time(kind["created"]),
        "artifactCollection": _find_typed_collection,
        "artifactSequence": _find_typed_collection,
        "artifactCollections": _page_typed_collections,
    },
    "ArtifactSequence": {
        **COLLECTION,
        "latestArtifact": _find_latest,
        "digestAlgorithm": lambda _, __: "MANIFEST_MD5",
    },
    "ArtifactPortfolio": COLLECTION,
    "Artifact": {
        "id": lambda artifact, _: encode_node("Artifact", artifact["id"]),
        "artifactSequence": lambda artifact, request: get_collection(request.store, artifact),
        "artifactMemberships": lambda artifact, request, after=None, first=None: page_by_offset(
            list_memberships(request.store, artifact), after, first
        ),
        "artifactType": lambda artifact, request: make_type(get_collection(request.store, artifact)),
        "metadata": lambda artifact, _: artifact["metadata"] or "{}",
        "ttlDurationSeconds": lambda artifact, _: artifact["ttl_seconds"] or NO_TTL,
        "ttlIsInherited": lambda artifact, _: artifact["ttl_seconds"] is None,
        "tags": lambda artifact, _: make_tags(artifact),
        "digestAlgorithm": lambda _, __: "MANIFEST_MD5",
        "aliases": lambda artifact, request: list_aliases(request.store, artifact),
        "currentManifest": _link_manifest,
        "createdBy": lambda artifact, request: (
            get_run(request.store, artifact["run_id"]) if artifact["run_id"] else USER
        ),
        "usedBy": _list_users,
    },
    "ArtifactAlias": {
        "id": lambda alias, _: encode_node("Alias", alias["collection_id"], alias["alias"]),
        "artifactCollection": lambda alias, request: get_collection_row(request.store, alias["collection_id"]),
        "artifactCollectionName": lambda alias, request: get_collection_row(request.store, alias["collection_id"])[
            "name"
        ],
    },
    "ArtifactCollectionMembership": {
        "id": lambda member, _: encode_node("Membership", member.collection["id"], member.artifact["id"]),
        "versionIndex": lambda member, _: member.index,
        "createdAt": lambda member, _: format_time(member.made),
        "aliases": lambda member, request: list_aliases(request.store, member.artifact, member.collection),
        "artifactCollection": lambda member, _: member.collection,
        "artifact": lambda member, _: member.artifact,
    },
}

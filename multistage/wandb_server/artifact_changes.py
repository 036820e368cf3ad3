"""Artifacts, made: declared, uploaded, committed, named, deleted.

The client declares a version, asks for links to what is not there yet, uploads it and the manifest, and commits;
only then does the version have a number, and aliases point to it.
"""

import json
from typing import Any

from multistage.wandb_server.artifact_collections import (
    delete_artifact,
    ensure_collection,
    give_aliases,
    merge_tags,
)
from multistage.wandb_server.artifact_files import check_region
from multistage.wandb_server.artifact_manifests import (
    encode_manifest,
    part_name,
    require_manifest,
    settle_manifest,
)
from multistage.wandb_server.artifact_nodes import (
    LATEST,
    SEQUENCE,
    decode_number,
    find_collection,
    find_member,
    get_collection,
    list_aliases,
    require_artifact,
)
from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.nodes import (
    RefusedError,
    encode_node,
    ensure_project,
    find_project,
    find_run,
    get_project,
    parse_object,
    require_named_run,
)
from multistage.wandb_server.store import Row, dump_json

JOB = "job"
"""The type of artifacts with which W&B launches trainings."""
INHERITED = -1


def _create(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    store = request.store
    names = given.get("artifactCollectionNames") or [given.get("artifactCollectionName")]
    if len(names) != 1 or not names[0]:
        raise RefusedError("An artifact needs the name of one collection.", 400)
    if given["artifactTypeName"] == JOB:
        raise RefusedError("This server has no jobs: artifacts of the type 'job' are refused.", 400)
    check_region(given.get("storageRegion"))
    metadata = given.get("metadata")
    if metadata is not None:
        parse_object("The artifact's metadata", metadata)
    with store.transaction():
        project = ensure_project(store, given.get("entityName"), given["projectName"])
        collection = ensure_collection(request, project, names[0], given["artifactTypeName"], SEQUENCE)
        run = find_run(store, project, given.get("runName"))
        known = _find_same(request, collection, given)
        artifact_id = known["id"] if known else _insert(request, collection, run, given)
    return {"artifact": store.one("SELECT * FROM artifacts WHERE id = ?", (artifact_id,))}


def _find_same(request: Request, collection: Row, given: dict[str, Any]) -> Row | None:
    """The version that the request means: written by several runs together, or with the latest one's content."""
    store = request.store
    if given.get("distributedID"):
        return store.one(
            "SELECT * FROM artifacts WHERE collection_id = ? AND distributed_id = ? AND state = 'PENDING'",
            (collection["id"], given["distributedID"]),
        )
    latest = find_member(store, collection, LATEST)
    if not given.get("enableDigestDeduplication") or latest is None or latest.artifact["digest"] != given["digest"]:
        return None
    artifact = latest.artifact
    give_aliases(request, collection, artifact, _name_aliases(given))
    store.update("artifacts", artifact["id"], tags=merge_tags(artifact, given.get("tags"), None))
    return artifact


def _name_aliases(given: dict[str, Any]) -> list[str]:
    return [alias["alias"] for alias in given.get("aliases") or []]


def _insert(request: Request, collection: Row, run: Row | None, given: dict[str, Any]) -> int:
    now = request.store.tick()
    artifact_id = request.store.insert(
        "artifacts",
        collection_id=collection["id"],
        run_id=run["id"] if run else None,
        client_id=given.get("clientID"),
        distributed_id=given.get("distributedID"),
        state="PENDING",
        digest=given["digest"],
        wanted_aliases=dump_json(_name_aliases(given)),
        tags=dump_json([]),
        ttl_seconds=_read_ttl(given),
        description=given.get("description"),
        metadata=given.get("metadata"),
        history_step=given.get("historyStep"),
        created_at=now,
        updated_at=now,
    )
    artifact = request.store.one("SELECT * FROM artifacts WHERE id = ?", (artifact_id,))
    assert artifact is not None  # noqa: S101 - just made
    request.store.update("artifacts", artifact_id, tags=merge_tags(artifact, given.get("tags"), None))
    return artifact_id


def _read_ttl(given: dict[str, Any]) -> int | None:
    """How long the client wants a version to be kept, in seconds: it is noted, and nothing is deleted by it."""
    seconds = given.get("ttlDurationSeconds")
    return None if seconds is None or seconds == INHERITED else max(0, int(seconds))


def _create_manifest(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    artifact = require_artifact(request.store, given["artifactID"])
    base = given.get("baseArtifactID")
    with request.store.transaction():
        number = request.store.insert(
            "artifact_manifests",
            artifact_id=artifact["id"],
            kind=given.get("type") or "FULL",
            digest=given["digest"],
            base_id=require_artifact(request.store, base)["id"] if base else None,
        )
    return _answer_manifest(request, require_manifest(request, encode_manifest(number)))


def _update_manifest(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    manifest = require_manifest(request, given["artifactManifestID"])
    base = decode_number("Artifact", given.get("baseArtifactID"))
    changes = {"digest": given.get("digest"), "base_id": base}
    for name, value in changes.items():
        if value is not None:
            request.store.update("artifact_manifests", manifest["id"], **{name: value})
    return _answer_manifest(request, manifest)


def _answer_manifest(request: Request, manifest: Row) -> dict[str, Any]:
    artifact = require_artifact(request.store, encode_node("Artifact", manifest["artifact_id"]))
    project_id = get_collection(request.store, artifact)["project_id"]
    name = part_name(manifest)
    link = request.state.storage.link_blob(request.base_url, "PUT", project_id, name)
    file = {"id": encode_node("File", name), "name": name, "uploadUrl": link, "uploadHeaders": []}
    return {"artifactManifest": {"id": encode_manifest(manifest["id"]), "file": file}}


def _commit(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    artifact = require_artifact(request.store, arguments["input"]["artifactID"])
    store = request.store
    if artifact["state"] == "COMMITTED":
        return {"artifact": artifact}
    entries = settle_manifest(request, artifact)
    sizes = [entry.get("size") for entry in entries.values()]
    collection = get_collection(store, artifact)
    with store.transaction():
        latest = store.value("SELECT max(version_index) FROM artifacts WHERE collection_id = ?", (collection["id"],))
        now = store.tick()
        store.update(
            "artifacts",
            artifact["id"],
            state="COMMITTED",
            version_index=0 if latest is None else latest + 1,
            size=sum(size for size in sizes if isinstance(size, int) and 0 <= size < 2**50),
            file_count=len(entries),
            updated_at=now,
        )
        store.update("artifact_collections", collection["id"], updated_at=now)
        give_aliases(request, collection, artifact, [LATEST, *json.loads(artifact["wanted_aliases"])])
    return {"artifact": store.one("SELECT * FROM artifacts WHERE id = ?", (artifact["id"],))}


def _update(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    store = request.store
    artifact = require_artifact(store, given["artifactID"])
    changes: dict[str, Any] = {"tags": merge_tags(artifact, given.get("tagsToAdd"), given.get("tagsToDelete"))}
    if given.get("description") is not None:
        changes["description"] = given["description"]
    if given.get("metadata") is not None:
        changes["metadata"] = dump_json(parse_object("The artifact's metadata", given["metadata"]))
    if given.get("ttlDurationSeconds") is not None:
        changes["ttl_seconds"] = _read_ttl(given)
    with store.transaction():
        store.update("artifacts", artifact["id"], **changes, updated_at=store.tick())
        if given.get("aliases") is not None:
            collection = get_collection(store, artifact)
            _take(request, collection, artifact, [row["alias"] for row in list_aliases(store, artifact, collection)])
            give_aliases(request, collection, artifact, _name_aliases(given))
    return {"artifact": store.one("SELECT * FROM artifacts WHERE id = ?", (artifact["id"],))}


def _use(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    artifact = require_artifact(request.store, given["artifactID"])
    run = require_named_run(request.store, given["entityName"], given["projectName"], given["runName"])
    with request.store.transaction():
        request.store.execute("INSERT OR IGNORE INTO artifact_uses VALUES (?, ?)", (run["id"], artifact["id"]))
    return {"artifact": artifact}


def _delete(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    artifact = require_artifact(request.store, given["artifactID"])
    collection = get_collection(request.store, artifact)
    aliases = [row["alias"] for row in list_aliases(request.store, artifact)]
    if aliases and not given.get("deleteAliases"):
        raise RefusedError(
            f"The artifact {collection['name']}:v{artifact['version_index']} has the aliases {', '.join(aliases)}: "
            "take them away first, or delete it with delete_aliases=True.",
            409,
        )
    with request.store.transaction():
        delete_artifact(request, artifact)
    return {"artifact": artifact}


def _change_aliases(take: bool) -> Any:
    def change(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
        given = arguments["input"]
        with request.store.transaction():
            artifact = require_artifact(request.store, given["artifactID"])
            for alias in given["aliases"]:
                collection = _find_aliased(request, artifact, alias)
                if take:
                    _take(request, collection, artifact, [alias["alias"]])
                else:
                    give_aliases(request, collection, artifact, [alias["alias"]])
        return {"success": True}

    return change


def _find_aliased(request: Request, artifact: Row, alias: dict[str, Any]) -> Row:
    """The collection that an alias is of, in which the version must be."""
    store = request.store
    home = get_collection(store, artifact)
    own = get_project(store, home["project_id"])
    entity, project_name = alias.get("entityName") or own["entity"], alias.get("projectName") or own["name"]
    project = find_project(store, entity, project_name)
    name = alias["artifactCollectionName"]
    collection = find_collection(store, project["id"], name) if project else None
    if collection is None:
        raise RefusedError(f"Artifact collection {name[:60]!r} not found.", 404)
    linked = store.value(
        "SELECT 1 FROM artifact_links WHERE collection_id = ? AND artifact_id = ?", (collection["id"], artifact["id"])
    )
    if collection["id"] != home["id"] and linked is None:
        raise RefusedError(f"The artifact is not in the collection {name[:60]!r}.", 400)
    return collection


def _take(request: Request, collection: Row, artifact: Row, aliases: list[str]) -> None:
    for alias in aliases:
        request.store.execute(
            "DELETE FROM artifact_aliases WHERE collection_id = ? AND artifact_id = ? AND alias = ?",
            (collection["id"], artifact["id"], alias),
        )


RESOLVERS: Resolvers = {
    "Mutation": {
        "createArtifact": _create,
        "createArtifactManifest": _create_manifest,
        "updateArtifactManifest": _update_manifest,
        "commitArtifact": _commit,
        "updateArtifact": _update,
        "useArtifact": _use,
        "deleteArtifact": _delete,
        "addAliases": _change_aliases(take=False),
        "deleteAliases": _change_aliases(take=True),
    }
}

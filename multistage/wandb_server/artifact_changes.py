"""Artifacts, made: declared, uploaded, committed, named.

The client declares a version, asks for links to what is not there yet, uploads it and the manifest, and commits;
only then does the version have a number, and aliases point to it.
"""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from multistage.wandb_server.artifact_resolvers import (
    find_collection,
    find_version,
    get_collection,
    manifest_name,
    read_manifest,
    require_artifact,
)
from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.nodes import (
    RefusedError,
    check_name,
    decode_node,
    encode_node,
    ensure_project,
    find_project,
    find_run,
    parse_object,
)
from multistage.wandb_server.store import Row, dump_json

MAX_ENTRIES = 10_000

Name = Annotated[str, Field(min_length=1, max_length=256)]


class Input(BaseModel):
    """Arguments of a mutation; what newer clients add is passed over."""

    model_config = ConfigDict(frozen=True, strict=True)


class Alias(Input):
    """An alias to be given."""

    artifactCollectionName: str | None = None  # noqa: N815
    alias: Name


class NewArtifact(Input):
    """A version to be declared."""

    entityName: str | None = None  # noqa: N815
    projectName: Name  # noqa: N815
    runName: str | None = None  # noqa: N815
    artifactTypeName: Name  # noqa: N815
    artifactCollectionName: str | None = None  # noqa: N815
    artifactCollectionNames: list[str] | None = None  # noqa: N815
    digest: Name
    description: str | None = None
    metadata: str | None = None
    aliases: list[Alias] | None = None
    clientID: str | None = None  # noqa: N815
    historyStep: Annotated[int, Field(ge=0, lt=2**62)] | None = None  # noqa: N815
    enableDigestDeduplication: bool | None = None  # noqa: N815


class ManifestOf(Input):
    """A manifest of a version."""

    artifactID: Name | None = None  # noqa: N815
    artifactManifestID: Name | None = None  # noqa: N815


class NewFile(Input):
    """A file to be uploaded."""

    artifactID: Name  # noqa: N815
    name: Annotated[str, Field(min_length=1, max_length=4096)]
    md5: Name


class NewFiles(Input):
    """Files to be uploaded."""

    artifactFiles: Annotated[list[NewFile], Field(max_length=MAX_ENTRIES)]  # noqa: N815


class ArtifactChange(Input):
    """What is changed in a version."""

    artifactID: Name  # noqa: N815
    description: str | None = None
    metadata: str | None = None
    aliases: list[Alias] | None = None


class ArtifactUse(Input):
    """A run's use of a version."""

    artifactID: Name  # noqa: N815
    entityName: str | None = None  # noqa: N815
    projectName: Name  # noqa: N815
    runName: Name  # noqa: N815


class AliasChange(Input):
    """Aliases given to, or taken from, a version."""

    artifactID: Name  # noqa: N815
    aliases: list[Alias]


Model = TypeVar("Model", bound=Input)


def _read(model: type[Model], arguments: dict[str, Any]) -> Model:
    try:
        return model.model_validate(arguments["input"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RefusedError(f"Invalid input: {place}: {first['msg']}.", 400) from error


def _create(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = _read(NewArtifact, arguments)
    store = request.store
    names = given.artifactCollectionNames or ([given.artifactCollectionName] if given.artifactCollectionName else [])
    if not names:
        raise RefusedError("An artifact needs a collection's name.", 400)
    if given.metadata is not None:
        parse_object("The artifact's metadata", given.metadata)
    aliases = [alias.alias for alias in given.aliases or []]
    with store.transaction():
        project = ensure_project(store, given.entityName, given.projectName)
        collection = _ensure_collection(request, project, check_name("artifact", names[0]), given.artifactTypeName)
        run = find_run(store, project, given.runName)
        latest = find_version(store, collection, "latest")
        if given.enableDigestDeduplication and latest is not None and latest["digest"] == given.digest:
            _give_aliases(request, latest, aliases)
            return {"artifact": latest}
        now = store.tick()
        artifact_id = store.insert(
            "artifacts",
            collection_id=collection["id"],
            run_id=run["id"] if run else None,
            client_id=given.clientID,
            state="PENDING",
            digest=given.digest,
            wanted_aliases=dump_json(aliases),
            description=given.description,
            metadata=given.metadata,
            history_step=given.historyStep,
            created_at=now,
            updated_at=now,
        )
    return {"artifact": store.one("SELECT * FROM artifacts WHERE id = ?", (artifact_id,))}


def _ensure_collection(request: Request, project: Row, name: str, kind: str) -> Row:
    store = request.store
    collection = find_collection(store, project["id"], name)
    if collection is None:
        now = store.tick()
        store.insert(
            "artifact_collections", project_id=project["id"], name=name, type=kind, created_at=now, updated_at=now
        )
        collection = find_collection(store, project["id"], name)
    assert collection is not None  # noqa: S101 - just made
    if collection["type"] != kind:
        raise RefusedError(f"The artifact {name!r} has the type {collection['type']!r}, not {kind[:40]!r}.", 400)
    return collection


def _name_manifest(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = _read(ManifestOf, arguments)
    if given.artifactID is not None:
        artifact = require_artifact(request.store, given.artifactID)
    else:
        match decode_node("Artifact", given.artifactManifestID or ""):
            case ["manifest", number]:
                artifact = require_artifact(request.store, encode_node("Artifact", number))
            case _:
                raise RefusedError("No such manifest.", 404)
    project_id = get_collection(request.store, artifact)["project_id"]
    name = manifest_name(artifact)
    link = request.state.storage.link_blob(request.base_url, "PUT", project_id, name)
    file = {"id": encode_node("File", name), "name": name, "uploadUrl": link, "uploadHeaders": []}
    return {"artifactManifest": {"id": encode_node("Artifact", "manifest", artifact["id"]), "file": file}}


def _create_files(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = _read(NewFiles, arguments)
    storage = request.state.storage
    edges: list[dict[str, Any]] = []
    for file in given.artifactFiles:
        artifact = require_artifact(request.store, file.artifactID)
        project_id = get_collection(request.store, artifact)["project_id"]
        known = storage.locate_blob(project_id, file.md5).exists()
        edges.append(
            {
                "node": {
                    "id": encode_node("File", file.md5),
                    "name": file.name,
                    "storagePath": f"blobs/{project_id}/{file.md5}",
                    "uploadUrl": None if known else storage.link_blob(request.base_url, "PUT", project_id, file.md5),
                    "uploadHeaders": [],
                    "uploadMultipartUrls": None,
                    "artifact": artifact,
                }
            }
        )
    return {"files": {"edges": edges, "pageInfo": {"hasNextPage": False, "endCursor": None}}}


def _commit(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    artifact = require_artifact(request.store, _read(ArtifactChange, arguments).artifactID)
    store = request.store
    if artifact["state"] == "COMMITTED":
        return {"artifact": artifact}
    entries = read_manifest(request, artifact)
    sizes = [entry.get("size") for entry in entries.values()]
    with store.transaction():
        latest = store.value(
            "SELECT max(version_index) FROM artifacts WHERE collection_id = ?", (artifact["collection_id"],)
        )
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
        store.update("artifact_collections", artifact["collection_id"], updated_at=now)
        wanted = parse_object("aliases", f'{{"aliases": {artifact["wanted_aliases"]}}}')["aliases"]
        _give_aliases(request, artifact, ["latest", *wanted])
    return {"artifact": store.one("SELECT * FROM artifacts WHERE id = ?", (artifact["id"],))}


def _give_aliases(request: Request, artifact: Row, aliases: list[str]) -> None:
    for alias in aliases:
        request.store.execute(
            "INSERT OR REPLACE INTO artifact_aliases (collection_id, alias, artifact_id) VALUES (?, ?, ?)",
            (artifact["collection_id"], alias, artifact["id"]),
        )


def _update(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = _read(ArtifactChange, arguments)
    store = request.store
    artifact = require_artifact(store, given.artifactID)
    changes: dict[str, Any] = {"updated_at": store.tick()}
    if given.description is not None:
        changes["description"] = given.description
    if given.metadata is not None:
        changes["metadata"] = dump_json(parse_object("The artifact's metadata", given.metadata))
    with store.transaction():
        store.update("artifacts", artifact["id"], **changes)
        if given.aliases is not None:
            store.execute("DELETE FROM artifact_aliases WHERE artifact_id = ?", (artifact["id"],))
            _give_aliases(request, artifact, [alias.alias for alias in given.aliases])
    return {"artifact": store.one("SELECT * FROM artifacts WHERE id = ?", (artifact["id"],))}


def _use(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = _read(ArtifactUse, arguments)
    artifact = require_artifact(request.store, given.artifactID)
    run = find_run(request.store, find_project(request.store, given.entityName, given.projectName), given.runName)
    if run is None:
        raise RefusedError(f"Run {given.runName[:40]!r} not found.", 404)
    with request.store.transaction():
        request.store.execute("INSERT OR IGNORE INTO artifact_uses VALUES (?, ?)", (run["id"], artifact["id"]))
    return {"artifact": artifact}


def _delete(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    artifact = require_artifact(request.store, _read(ArtifactChange, arguments).artifactID)
    with request.store.transaction():
        request.store.execute("DELETE FROM artifacts WHERE id = ?", (artifact["id"],))
    return {"artifact": artifact}


def _add_aliases(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = _read(AliasChange, arguments)
    with request.store.transaction():
        artifact = require_artifact(request.store, given.artifactID)
        _give_aliases(request, artifact, [alias.alias for alias in given.aliases])
    return {"success": True}


def _take_aliases(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = _read(AliasChange, arguments)
    with request.store.transaction():
        artifact = require_artifact(request.store, given.artifactID)
        for alias in given.aliases:
            request.store.execute(
                "DELETE FROM artifact_aliases WHERE artifact_id = ? AND alias = ?", (artifact["id"], alias.alias)
            )
    return {"success": True}


RESOLVERS: Resolvers = {
    "Mutation": {
        "createArtifact": _create,
        "createArtifactManifest": _name_manifest,
        "updateArtifactManifest": _name_manifest,
        "createArtifactFiles": _create_files,
        "commitArtifact": _commit,
        "updateArtifact": _update,
        "useArtifact": _use,
        "deleteArtifact": _delete,
        "addAliases": _add_aliases,
        "deleteAliases": _take_aliases,
    }
}

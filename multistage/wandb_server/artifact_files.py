"""Files of artifacts: listed, linked to, uploaded in parts, downloaded by their address."""

import asyncio
import base64
import binascii
import hashlib
import os
import tempfile
from collections.abc import Sized
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from multistage.wandb_server.artifact_manifests import read_entries
from multistage.wandb_server.artifact_nodes import (
    find_artifact,
    find_collection,
    get_collection,
    list_members,
    require_artifact,
)
from multistage.wandb_server.context import Request, Resolvers, State
from multistage.wandb_server.nodes import RefusedError, encode_node, find_project
from multistage.wandb_server.pagination import page_by_offset
from multistage.wandb_server.store import Reader, Row

MAX_ENTRIES = 10_000
MD5_BYTES = 16
MAX_UPLOAD_PARTS = 10_000
MAX_NAME = 4096
CHUNK = 1 << 20
REGIONS = (None, "", "default")
"""Where files may be stored: this server has one place."""
DOWNLOAD = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
"""Never rendered by a browser: an uploaded page must not act in this server's name."""


def check_region(region: str | None) -> None:
    """Refuse a place for files that this server does not have."""
    if region not in REGIONS:
        raise RefusedError(f"Unknown storage region {region[:60]!r}: this server has only 'default'.", 400)


def _create_files(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    check_region(given.get("storageRegion"))
    files = given["artifactFiles"]
    if len(files) > MAX_ENTRIES:
        raise RefusedError(f"{len(files)} files at once; the limit is {MAX_ENTRIES}.", 400)
    edges = [{"node": _announce(request, file)} for file in files]
    return {"files": {"edges": edges, "pageInfo": {"hasNextPage": False, "endCursor": None}}}


def _is_md5(digest: str) -> bool:
    """Whether a text can be a file's digest, and no name of what is stored beside the files."""
    try:
        return len(base64.b64decode(digest, validate=True)) == MD5_BYTES
    except binascii.Error:
        return False


def _announce(request: Request, file: dict[str, Any]) -> dict[str, Any]:
    name, digest = file["name"], file.get("md5")
    if not name or len(name) > MAX_NAME:
        raise RefusedError(f"Invalid file name {name[:60]!r}: 1 to {MAX_NAME} characters.", 400)
    if not digest:
        raise RefusedError(f"The file {name[:60]!r} needs its MD5: this server compares no other digest.", 400)
    if not _is_md5(digest):
        raise RefusedError(f"{digest[:60]!r} is not an MD5 in Base64.", 400)
    storage = request.state.storage
    artifact = require_artifact(request.store, file["artifactID"])
    project_id = get_collection(request.store, artifact)["project_id"]
    known = storage.locate_blob(project_id, digest).exists()
    parts = [] if known else file.get("uploadPartsInput") or []
    _check_count(parts)
    upload_id = hashlib.sha256(digest.encode()).hexdigest()[:32]
    links = [
        {
            "partNumber": part["partNumber"],
            "uploadUrl": storage.link_blob(request.base_url, "PUT", project_id, _name_part(upload_id, part)),
        }
        for part in parts
    ]
    # Without this link clients take a file as uploaded before, also one that they would send in parts.
    whole = None if known else storage.link_blob(request.base_url, "PUT", project_id, digest)
    return {
        "id": encode_node("File", digest),
        "name": name,
        "storagePath": store_path(project_id, digest),
        "uploadUrl": whole,
        "uploadHeaders": [],
        "uploadMultipartUrls": {"uploadID": upload_id, "uploadUrlParts": links} if links else None,
        "artifact": artifact,
    }


def _check_count(parts: Sized) -> None:
    if len(parts) > MAX_UPLOAD_PARTS:
        raise RefusedError(f"{len(parts)} parts of a file; the limit is {MAX_UPLOAD_PARTS}.", 400)


def _name_part(upload_id: str, part: dict[str, Any]) -> str:
    return f"part-{upload_id}-{part['partNumber']}"


def store_path(project_id: int, digest: str) -> str:
    """Where clients are told that a file lies."""
    return f"blobs/{project_id}/{digest}"


async def _complete_upload(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    artifact = require_artifact(request.store, given["artifactID"])
    project_id = get_collection(request.store, artifact)["project_id"]
    folder, _, digest = given["storagePath"].rpartition(f"blobs/{project_id}/")
    if folder or not digest:
        raise RefusedError(f"Invalid storage path {given['storagePath'][:60]!r}.", 400)
    storage, upload_id = request.state.storage, given["uploadID"]
    _check_count(given["completedParts"])
    numbers = sorted(given["completedParts"], key=lambda part: part["partNumber"])
    parts = [storage.locate_blob(project_id, _name_part(upload_id, part)) for part in numbers]
    await asyncio.to_thread(join_parts, parts, storage.locate_blob(project_id, digest), digest)
    return {"digest": digest}


def join_parts(parts: list[Path], target: Path, digest: str) -> None:
    """Make one file of its parts, which go with it.

    Raises:
        RefusedError: A part is missing, or the whole is not what was announced.
    """
    if target.exists():
        return
    found = hashlib.md5(usedforsecurity=False)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as whole:
            for number, part in enumerate(parts, start=1):
                if not part.exists():
                    raise RefusedError(f"Part {number} of the file was not uploaded.", 400)
                with part.open("rb") as file:
                    while chunk := file.read(CHUNK):
                        found.update(chunk)
                        whole.write(chunk)
        if (seen := base64.b64encode(found.digest()).decode()) != digest:
            raise RefusedError(f"The content has the MD5 {seen}, not {digest[:60]}.", 400)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    for part in parts:
        part.unlink(missing_ok=True)


def page_files(
    request: Request, artifact: Row, names: list[str] | None, after: str | None, first: int | None
) -> dict[str, Any]:
    """A version's files, those by reference to another place left out."""
    project_id = get_collection(request.store, artifact)["project_id"]
    wanted = None if names is None else set(names)
    entries = [
        (path, entry)
        for path, entry in read_entries(request, artifact).items()
        if "ref" not in entry and (wanted is None or path in wanted)
    ]
    request.spend(1 + len(entries) // 10)
    page = page_by_offset(entries, after, first)
    for edge in page["edges"]:
        edge["node"] = link_entry(request, artifact, project_id, *edge["node"])
    return {**page, "totalCount": len(entries)}


def link_entry(request: Request, artifact: Row, project_id: int, path: str, entry: dict[str, Any]) -> dict[str, Any]:
    """A file of an artifact, with the link that downloads it."""
    digest = str(entry.get("digest"))
    return {
        "size": entry.get("size"),
        "id": encode_node("File", digest),
        "name": path,
        "displayName": path,
        "digest": digest,
        "md5": digest,
        "storagePath": store_path(project_id, digest),
        "updatedAt": artifact["updated_at"],
        "directUrl": request.state.storage.link_blob(request.base_url, "GET", project_id, digest),
    }


def _link_entries(
    artifact: Row,
    request: Request,
    entries: list[dict[str, Any]] | None = None,
    storageRegion: str | None = None,  # noqa: N803
    **_: Any,
) -> dict[str, Any]:
    check_region(storageRegion)
    project_id = get_collection(request.store, artifact)["project_id"]
    manifest = read_entries(request, artifact)
    wanted = entries or []
    request.spend(1 + len(wanted) // 10)
    names = [str(entry.get("name")) for entry in wanted]
    edges = [
        {"node": link_entry(request, artifact, project_id, name, manifest[name])} for name in names if name in manifest
    ]
    return {"edges": edges, "pageInfo": {"hasNextPage": False, "endCursor": None}}


def build_download_routes(state: State) -> list[Route]:
    """The addresses that clients make of an entry themselves, where they have no link."""

    async def answer(http: HttpRequest) -> Response:
        params = http.path_params
        check_region(params.get("region"))

        def find() -> Path | None:
            with state.store.snapshot() as reader:
                return _find_content(state, reader, params)

        path = await state.desk.look(find)
        if path is None:
            raise RefusedError("No such file.", 404)
        return FileResponse(path, media_type="application/octet-stream", headers=DOWNLOAD)

    return [
        Route("/artifactsV2/{region}/{entity}/{project}/{collection}/{rest:path}", answer),
        Route("/artifacts/{entity}/{rest}", answer),
    ]


def _find_content(state: State, reader: Reader, params: dict[str, str]) -> Path | None:
    parts = params["rest"].split("/")
    try:
        content = bytes.fromhex(parts[-2] if "collection" in params else parts[-1])
    except (IndexError, ValueError):
        raise RefusedError(f"Invalid address of an artifact's file: {params['rest'][:60]!r}.", 400) from None
    digest = base64.b64encode(content).decode()
    for project_id in _list_places(reader, params, parts):
        path = state.storage.locate_blob(project_id, digest)
        if path.exists():
            return path
    return None


def _list_places(reader: Reader, params: dict[str, str], parts: list[str]) -> list[int]:
    """The projects in which an entry's content may lie: a link's is where it was logged."""
    if "collection" not in params:
        rows = reader.all("SELECT id FROM projects WHERE entity = ?", (params["entity"],))
        return [row["id"] for row in rows]
    project = find_project(reader, params["entity"], params["project"])
    collection = find_collection(reader, project["id"], params["collection"]) if project else None
    if collection is None:
        return []
    named = find_artifact(reader, parts[0])
    artifacts = [named] if named else [member.artifact for member in list_members(reader, collection)]
    return list(dict.fromkeys(get_collection(reader, artifact)["project_id"] for artifact in artifacts))


RESOLVERS: Resolvers = {
    "Mutation": {"createArtifactFiles": _create_files, "completeMultipartUploadArtifact": _complete_upload},
    "Artifact": {
        "files": lambda artifact, request, names=None, after=None, first=None: page_files(
            request, artifact, names, after, first
        ),
        "filesByManifestEntries": _link_entries,
    },
    "ArtifactCollectionMembership": {
        "files": lambda member, request, names=None, after=None, first=None: page_files(
            request, member.artifact, names, after, first
        ),
    },
}

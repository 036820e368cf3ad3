"""Manifests: what a version holds, by path. Runs upload them; a version that adds to another is joined with it."""

from pathlib import Path
from typing import Any

from multistage.atomic_files import replace_file
from multistage.wandb_server.artifact_nodes import decode_number, get_collection
from multistage.wandb_server.context import Request
from multistage.wandb_server.nodes import RefusedError, encode_node, parse_object
from multistage.wandb_server.store import Row, dump_json

MAX_MANIFEST = 50_000_000
Manifest = dict[str, Any]


def manifest_name(artifact: Row) -> str:
    """What a version's whole manifest is stored under."""
    return f"manifest-{artifact['id']}"


def part_name(manifest: Row) -> str:
    """What an uploaded manifest is stored under."""
    return f"manifest-{manifest['artifact_id']}-{manifest['id']}"


def encode_manifest(number: int) -> str:
    """The node id of an uploaded manifest."""
    return encode_node("Artifact", "manifest", number)


def require_manifest(request: Request, node_id: str) -> Row:
    """An announced manifest by its node id.

    Raises:
        RefusedError: There is none (404).
    """
    number = decode_number("Artifact", node_id, ("manifest",))
    row = None if number is None else request.store.one("SELECT * FROM artifact_manifests WHERE id = ?", (number,))
    if row is None:
        raise RefusedError("No such manifest.", 404)
    return row


def read_entries(request: Request, artifact: Row) -> dict[str, Any]:
    """The entries of a version's manifest, by path.

    Raises:
        RefusedError: It was not uploaded, or is no manifest.
    """
    entries: dict[str, Any] = _read(_locate(request, artifact, manifest_name(artifact)))["contents"]
    return entries


def settle_manifest(request: Request, artifact: Row) -> dict[str, Any]:
    """Make a version's manifest whole, of what was uploaded and of what it adds to; returns its entries.

    Raises:
        RefusedError: Something was not uploaded, or is no manifest.
    """
    parts = request.store.all(
        "SELECT * FROM artifact_manifests WHERE artifact_id = ? AND digest != '' ORDER BY id", (artifact["id"],)
    )
    whole = _locate(request, artifact, manifest_name(artifact))
    if not parts:
        # As runs of an earlier release upload it.
        return read_entries(request, artifact)
    manifest: Manifest = {}
    contents: dict[str, Any] = {}
    for part in parts:
        manifest = _read(_locate(request, artifact, part_name(part)))
        if part["kind"] == "FULL":
            contents = {}
        contents = {**contents, **_read_base(request, part), **manifest["contents"]}
    replace_file(whole, dump_json({**manifest, "contents": contents}))
    return contents


def _read_base(request: Request, part: Row) -> dict[str, Any]:
    if part["kind"] != "INCREMENTAL" or part["base_id"] is None:
        return {}
    base = request.store.one("SELECT * FROM artifacts WHERE id = ?", (part["base_id"],))
    if base is None:
        raise RefusedError("The artifact that this one adds to was deleted.", 404)
    return read_entries(request, base)


def _locate(request: Request, artifact: Row, name: str) -> Path:
    project_id = get_collection(request.store, artifact)["project_id"]
    return request.state.storage.locate_blob(project_id, name)


def _read(path: Path) -> Manifest:
    if not path.exists():
        raise RefusedError("The artifact's manifest was not uploaded.", 400)
    if path.stat().st_size > MAX_MANIFEST:
        raise RefusedError(f"The artifact's manifest is larger than {MAX_MANIFEST} bytes.", 400)
    manifest = parse_object("The manifest", path.read_text(errors="replace"))
    contents = manifest.get("contents")
    if not isinstance(contents, dict) or not all(isinstance(entry, dict) for entry in contents.values()):
        raise RefusedError("The artifact's manifest has no contents.", 400)
    return manifest

"""What the key of a sweep's workers opens: that sweep, its project's runs and artifacts, and what `wandb.init` asks.

The key names the sweep and is signed with the server's own key, so nothing is kept of it. It counts as long as the
sweep does: `LATE` seconds after the last of its stages has ended, and its runs were last heard of, it opens nothing.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from multistage.wandb_server.artifact_nodes import decode_number, find_collection_node
from multistage.wandb_server.lifecycle import ENDED_SWEEPS, LIVE
from multistage.wandb_server.nodes import RefusedError, decode_node, find_node, find_project, find_run, find_sweep
from multistage.wandb_server.store import Reader, Row, Store

LATE = 600.0
"""Seconds for late uploads."""
KEPT = 2.0
"""Seconds for which it is remembered what a key opens."""
WORK_PATH = "/-/work"
"""Where a worker is told which sweeps its key is for."""
WORKER = "multistage.worker"
"""In a request's scope: the sweep whose worker's key it showed."""

Given = Mapping[str, Any]


@dataclass(frozen=True)
class Scope:
    """What a worker's key opens.

    Args:
        project: The project's row.
        sweeps: Names of the sweeps, one for each stage.
    """

    project: Row
    sweeps: frozenset[str]

    def check(self, kind: str, name: str, source: Any, store: Store, arguments: Given) -> None:
        """Refuse a field that is not the workers' business.

        Args:
            kind: The type that has the field.
            name: The field.
            source: What has it.
            store: The database.
            arguments: The field's.

        Raises:
            RefusedError: It is none (403).
        """
        if kind not in ("Query", "Mutation"):
            uploads = (kind, name) == ("File", "url") and arguments.get("upload")
            if uploads or (kind, name) in CLOSED or (name not in NAMES and self._is_foreign(kind, source)):
                raise RefusedError(f"A worker's key does not open {kind}.{name}.", 403)
            return
        rule = RULES.get(name)
        given = arguments.get("input", arguments)
        if name.startswith("__") or (rule is not None and rule(self, store, given if isinstance(given, dict) else {})):
            return
        raise RefusedError(f"A worker's key does not open {name}, or not of what is another sweep's.", 403)

    def _is_foreign(self, kind: str, source: Any) -> bool:
        """Whether something is another project's: links of artifacts lead there."""
        column = HOMES.get(kind)
        return column is not None and source[column] != self.project["id"]

    def has_project(self, entity: Any, name: Any, store: Reader) -> bool:
        """Whether names are those of its project."""
        found = find_project(store, entity, name)
        return found is not None and found["id"] == self.project["id"]

    def may_report(self, run: Row | None) -> bool:
        """Whether a run may be written: one of its sweeps', or of none, in its project."""
        return (
            run is not None
            and run["project_id"] == self.project["id"]
            and (not run["sweep"] or run["sweep"] in self.sweeps)
        )


@dataclass
class Scopes:
    """What the workers' keys open, by the sweep that they name."""

    _known: dict[str, tuple[float, Scope | None]] = field(default_factory=dict)

    def find(self, store: Reader, name: str) -> Scope:
        """Find out what a key opens.

        Args:
            store: The database.
            name: A sweep's id, or the mark that the sweeps of all stages have in their name.

        Raises:
            RefusedError: Nothing any more, or nothing yet (401).
        """
        now = time.monotonic()
        at, scope = self._known.get(name, (float("-inf"), None))
        if now - at > KEPT:
            scope = read_scope(store, name)
            self._known[name] = now, scope
        if scope is None:
            raise RefusedError("This worker's key opens nothing: its sweep has ended, or is not there.", 401)
        return scope


def read_scope(store: Reader, name: str) -> Scope | None:
    """Read what a key opens; None where that is nothing."""
    sweeps = store.all("SELECT * FROM sweeps WHERE name = ? OR instr(config, ?) ORDER BY id", (name, f"({name})"))
    if not sweeps:
        return None
    project_id = sweeps[0]["project_id"]  # a later copy of its config elsewhere is another sweep
    own = [sweep for sweep in sweeps if sweep["project_id"] == project_id]
    if all(sweep["state"] in ENDED_SWEEPS for sweep in own) and not any(_is_late(store, sweep) for sweep in own):
        return None
    project = store.one("SELECT * FROM projects WHERE id = ?", (project_id,))
    assert project is not None  # noqa: S101 - a foreign key
    return Scope(project, frozenset(sweep["name"] for sweep in own))


def _is_late(store: Reader, sweep: Row) -> bool:
    """Whether something may still come of a sweep that has ended."""
    its = (sweep["project_id"], sweep["name"])
    heard = store.value("SELECT max(heartbeat_at) FROM runs WHERE project_id = ? AND sweep = ?", its) or 0
    if time.time() - max(heard, sweep["updated_at"]) / 1e6 < LATE:
        return True
    living = f"SELECT 1 FROM runs WHERE project_id = ? AND sweep = ? AND agent_id IS NOT NULL AND {LIVE}"  # noqa: S608
    return store.one(living, its) is not None


def _is_home(scope: Scope, store: Store, given: Given) -> bool:
    return scope.has_project(given.get("entityName"), given.get("name"), store)


def _is_own_sweep(scope: Scope, store: Store, given: Given) -> bool:
    home = scope.has_project(given.get("entityName"), given.get("projectName"), store)
    return home and given.get("sweep") in scope.sweeps


def _is_own_agent(scope: Scope, store: Store, given: Given) -> bool:
    names = decode_node("Agent", str(given.get("id")))
    sweep = store.one(
        "SELECT sweeps.* FROM agents JOIN sweeps ON sweeps.id = sweep_id WHERE agents.name = ?",
        (names[0] if names else "",),
    )
    return sweep is not None and sweep["project_id"] == scope.project["id"] and sweep["name"] in scope.sweeps


def _may_begin(scope: Scope, store: Store, given: Given) -> bool:
    """Whether a run may be begun, or changed; one that was handed out is found whatever project its script names."""
    if given.get("id"):
        return scope.may_report(find_node(store, "Run", str(given["id"])))
    sweep, name = given.get("sweep"), given.get("name")
    if sweep and sweep not in scope.sweeps:
        return False
    if scope.has_project(given.get("entityName"), given.get("modelName"), store):
        known = find_run(store, scope.project, name)
        return known is None or scope.may_report(known)
    named = find_project(store, given.get("entityName"), given.get("modelName"))
    handed_out = find_run(store, scope.project, name) if sweep else None
    is_elsewhere = find_sweep(store, named, sweep) is not None
    return not is_elsewhere and handed_out is not None and handed_out["agent_id"] is not None


def _may_upload(scope: Scope, store: Store, given: Given) -> bool:
    home = scope.has_project(given.get("entityName"), given.get("projectName"), store)
    return home and scope.may_report(find_run(store, scope.project, given.get("runName")))


def _may_rewind(scope: Scope, store: Store, given: Given) -> bool:
    run = find_run(store, scope.project, given.get("runName"))
    return _may_upload(scope, store, given) and run is not None and run["sweep"] in scope.sweeps


def _may_log_artifact(scope: Scope, store: Store, given: Given) -> bool:
    if not scope.has_project(given.get("entityName"), given.get("projectName"), store):
        return False
    run = find_run(store, scope.project, given.get("runName"))
    return run is None or scope.may_report(run)


def _owns_artifact(scope: Scope, store: Reader, node_id: Any) -> bool:
    """Whether an artifact, or an uploaded manifest of one, is its project's; one that is not there is nobody's."""
    number = decode_number("Artifact", str(node_id))
    manifest = decode_number("Artifact", str(node_id), ("manifest",))
    if manifest is not None:
        number = store.value("SELECT artifact_id FROM artifact_manifests WHERE id = ?", (manifest,))
    if number is None:
        return True
    return _is_home_to(scope, store, "artifacts.id", number)


def _is_home_to(scope: Scope, store: Reader, column: str, value: Any) -> bool:
    """Whether the latest artifact with a value is its project's, or there is none."""
    tables = "artifacts JOIN artifact_collections ON artifact_collections.id = collection_id"
    query = f"SELECT project_id FROM {tables} WHERE {column} = ? ORDER BY artifacts.id DESC LIMIT 1"  # noqa: S608
    project = store.value(query, (value,))
    return project is None or project == scope.project["id"]


def _may_change_artifact(scope: Scope, store: Store, given: Given) -> bool:
    changed = [given.get("artifactID"), given.get("artifactManifestID"), given.get("baseArtifactID")]
    files = given.get("artifactFiles")
    changed += [file.get("artifactID") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    places = given.get("aliases")
    for place in places if isinstance(places, list) else []:
        own = scope.project
        named = place if isinstance(place, dict) else {}
        if not scope.has_project(
            named.get("entityName") or own["entity"], named.get("projectName") or own["name"], store
        ):
            return False
    return all(_owns_artifact(scope, store, one) for one in changed if one is not None)


def _may_link_artifact(scope: Scope, store: Store, given: Given) -> bool:
    """Whether a version may be linked: its project's own, into a collection of its project."""
    if given.get("artifactPortfolioID"):
        target = find_collection_node(store, str(given["artifactPortfolioID"]))
        if target is not None and target["project_id"] != scope.project["id"]:
            return False
    elif given.get("projectName") and not scope.has_project(given.get("entityName"), given["projectName"], store):
        return False
    return _owns_artifact(scope, store, given.get("artifactID")) and _owns_client_id(scope, store, given)


def _may_use_artifact(scope: Scope, store: Store, given: Given) -> bool:
    return _may_change_artifact(scope, store, given) and _may_upload(scope, store, given)


def _owns_client_id(scope: Scope, store: Store, given: Given) -> bool:
    return _is_home_to(scope, store, "client_id", given.get("clientID"))


RULES: Mapping[str, Callable[[Scope, Store, Given], bool]] = {
    "viewer": lambda *_: True,
    "serverInfo": lambda *_: True,
    "entity": lambda *_: True,
    "model": _is_home,
    "project": _is_home,
    "artifact": lambda scope, store, given: _owns_artifact(scope, store, given.get("id")),
    "clientIDMapping": _owns_client_id,
    "createAgent": _is_own_sweep,
    "agentHeartbeat": _is_own_agent,
    "upsertBucket": _may_begin,
    "createRunFiles": _may_upload,
    "markRunFilesUploaded": _may_upload,
    "notifyScriptableRunAlert": _may_upload,
    "rewindRun": _may_rewind,
    "createArtifact": _may_log_artifact,
    "createArtifactManifest": _may_change_artifact,
    "updateArtifactManifest": _may_change_artifact,
    "createArtifactFiles": _may_change_artifact,
    "completeMultipartUploadArtifact": _may_change_artifact,
    "commitArtifact": _may_change_artifact,
    "updateArtifact": _may_change_artifact,
    "useArtifact": _may_use_artifact,
    "addAliases": _may_change_artifact,
    "deleteAliases": _may_change_artifact,
    "linkArtifact": _may_link_artifact,
}
"""Whether a worker may ask for a field of a query or a mutation; it may for none that is not here."""
CLOSED = {("Artifact", "usedBy"), ("Run", "inputArtifacts")}
"""Fields that lead into other projects."""
HOMES = {
    "Project": "id",
    **dict.fromkeys(("Run", "Sweep", "ArtifactType", "ArtifactSequence", "ArtifactPortfolio"), "project_id"),
}
"""By the types that are a project's: where their rows say whose."""
NAMES = ("__typename", "id", "name", "entity", "entityName", "state", "type", "project")
"""Fields that name something; of what is another project's no more is told."""

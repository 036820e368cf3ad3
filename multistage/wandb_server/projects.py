"""The user, the entity and the projects."""

from typing import Any

from multistage.wandb_server.context import Request, Resolvers
from multistage.wandb_server.filters import Clause, translate_filters
from multistage.wandb_server.nodes import (
    DEFAULT_ENTITY,
    encode_node,
    ensure_project,
    find_project,
    find_run,
    find_sweep,
)
from multistage.wandb_server.pagination import fetch_page, page_by_offset, parse_order
from multistage.wandb_server.store import Row

NO_LIMIT = "999.0.0"
"""The newest client that this server takes."""

FEATURES = (
    "SWEEPS_LOCAL_SCHEDULER",
    "SWEEPS_QUERY_FILTERING",
    "MARK_RUN_FILES_UPLOADED",
    "LARGE_FILENAMES",
    "CLIENT_IDS",
    "ARTIFACT_TAGS",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILE_DOWNLOAD_HANDLER",
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "ARTIFACT_V2_DOWNLOAD_HANDLER_SUPPORTS_ARTIFACT_ID",
    "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION",
)
"""What this server has of what clients ask for by name."""

USER = {
    "id": encode_node("User", DEFAULT_ENTITY),
    "name": DEFAULT_ENTITY,
    "username": DEFAULT_ENTITY,
    "email": f"{DEFAULT_ENTITY}@localhost",
    "admin": True,
    "flags": "{}",
    "entity": DEFAULT_ENTITY,
    "apiKeys": {"edges": []},
    "teams": {"edges": []},
}
"""The one user of this server."""
MEMBER = {**{key: USER[key] for key in ("id", "name", "username", "email", "admin")}, "accountType": "USER"}


def make_entity(name: str) -> dict[str, Any]:
    """An entity; every name is one, and all belong to the one user."""
    return {
        "id": encode_node("Entity", name),
        "name": name,
        "isTeam": False,
        "organization": None,
        "user": {**USER, "organizations": []},
        "available": False,
        "readOnly": False,
        "readOnlyAdmin": False,
        "entityType": "user",
        "privateOnly": True,
        "codeSavingEnabled": True,
        "defaultAccess": "PRIVATE",
        "isPaid": False,
        "members": [MEMBER],
        "xxhashDigestsEnabled": False,
    }


def _sum_files(entity: dict[str, Any], request: Request) -> int:
    request.spend(1)
    total: int = request.store.value(
        "SELECT coalesce(sum(files.size), 0) FROM projects JOIN runs ON runs.project_id = projects.id "
        "JOIN files ON files.run_id = runs.id WHERE entity = ?",
        (entity["name"],),
    )
    return total


def _search_users(_: Any, __: Request, query: str | None = None, **___: Any) -> dict[str, Any]:
    names = (DEFAULT_ENTITY, f"{DEFAULT_ENTITY}@localhost")
    return {"edges": [{"node": USER}] if any((query or "") in name for name in names) else []}


def _upsert_model(_: Any, request: Request, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    with request.store.transaction():
        inserted = find_project(request.store, given.get("entityName"), given.get("name")) is None
        project = ensure_project(request.store, given.get("entityName"), given.get("name"))
        if given.get("description") is not None:
            request.store.update("projects", project["id"], description=given["description"])
    return {"project": project, "model": project, "inserted": inserted}


def _list_projects(
    _: Any,
    request: Request,
    entityName: str | None = None,  # noqa: N803
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    rows = request.store.all(
        "SELECT * FROM projects WHERE entity = ? ORDER BY id DESC", (entityName or DEFAULT_ENTITY,)
    )
    request.spend(len(rows))
    return page_by_offset(rows, after, first)


def _find_project(
    _: Any,
    request: Request,
    name: str | None = None,
    entityName: str | None = None,  # noqa: N803
) -> Row | None:
    return find_project(request.store, entityName, name)


def _find_sweep(project: Row, request: Request, sweepName: str | None = None) -> Row | None:  # noqa: N803
    return find_sweep(request.store, project, sweepName)


def _select(project: Row, filters: str | None) -> Clause:
    condition = translate_filters(filters)
    return Clause(f"project_id = ? AND ({condition.sql})", (project["id"], *condition.parameters))


def _count_runs(project: Row, request: Request, filters: str | None = None) -> int:
    condition = _select(project, filters)
    request.spend(1)
    count: int = request.store.value(
        f"SELECT count(*) FROM runs WHERE {condition.sql}",  # noqa: S608 - translated, no request text
        condition.parameters,
    )
    return count


def _page_runs(
    project: Row,
    request: Request,
    filters: str | None = None,
    order: str | None = None,
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    page = fetch_page(request.store, _select(project, filters), parse_order(order), after, first)
    request.spend(1 + len(page["edges"]))
    return page


def _list_sweeps(
    project: Row,
    request: Request,
    after: str | None = None,
    first: int | None = None,
    filters: str | None = None,
) -> dict[str, Any]:
    condition = translate_filters(filters, "sweeps")
    rows = request.store.all(
        f"SELECT * FROM sweeps WHERE project_id = ? AND ({condition.sql}) ORDER BY id DESC",  # noqa: S608
        (project["id"], *condition.parameters),
    )
    request.spend(len(rows))
    return page_by_offset(rows, after, first)


RESOLVERS: Resolvers = {
    "Query": {
        "viewer": lambda _, __: USER,
        "serverInfo": lambda _, __: {
            "features": [{"name": name, "isEnabled": True} for name in FEATURES],
            "cliVersionInfo": {"max_cli_version": NO_LIMIT},
        },
        "entity": lambda _, __, name=None: make_entity(name or DEFAULT_ENTITY),
        "users": _search_users,
        "models": _list_projects,
        "model": _find_project,
        "project": _find_project,
    },
    "Mutation": {"upsertModel": _upsert_model},
    "Entity": {"storageBytes": _sum_files},
    "Project": {
        "id": lambda project, _: encode_node("Project", project["name"], project["entity"]),
        "internalId": lambda project, _: project["id"],
        "entityName": lambda project, _: project["entity"],
        "entity": lambda project, _: make_entity(project["entity"]),
        "access": lambda _, __: "PRIVATE",
        "isBenchmark": lambda _, __: False,
        "readOnly": lambda _, __: False,
        "user": lambda _, __: USER,
        "run": lambda project, request, name=None: find_run(request.store, project, name),
        "bucket": lambda project, request, name=None, **_: find_run(request.store, project, name),
        "runCount": _count_runs,
        "runs": _page_runs,
        "sweep": _find_sweep,
        "totalSweeps": lambda project, request: request.store.value(
            "SELECT count(*) FROM sweeps WHERE project_id = ?", (project["id"],)
        ),
        "sweeps": _list_sweeps,
    },
}

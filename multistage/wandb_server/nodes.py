"""Node ids, and how rows are found by what a request calls them."""

import base64
import binascii
import json
import re
from typing import Any, Literal

from pydantic_core import from_json

from multistage.wandb_server.store import Reader, Row, Store

Kind = Literal[
    "Run",
    "Sweep",
    "Agent",
    "Project",
    "File",
    "User",
    "Entity",
    "QueueItem",
    "Artifact",
    "ArtifactType",
    "Collection",
    "Alias",
    "Tag",
    "Membership",
    "Alert",
    "Chart",
]

DEFAULT_ENTITY = "local"
DEFAULT_PROJECT = "uncategorized"
MAX_NAME = 256
MAX_NESTING = 200
"""Also that of the parser."""
MAX_PARTS = 200_000
"""Objects and lists of one JSON text: a tenth of a second, in which nothing else is done."""
BRACKETS = re.compile(r"[\[\]{}]")


class RefusedError(Exception):
    """A request that cannot be answered.

    Args:
        message: What is wrong, for the client's user.
        status: HTTP status of the whole answer; None leaves an ordinary GraphQL error.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def parse_object(what: str, text: str) -> dict[str, Any]:
    """A JSON object from a request.

    Raises:
        RefusedError: The text is something else, nested deeper than the database can search, or made of more parts
            than may be read at one go.
    """
    parts = text.count("{") + text.count("[")
    if parts > MAX_PARTS:
        raise RefusedError(f"{what} holds {parts} objects and lists; the limit is {MAX_PARTS}.", 400)
    try:
        value = from_json(text)
    except ValueError:
        value = _parse_leniently(what, text)
    if not isinstance(value, dict):
        raise RefusedError(f"{what} must be a JSON object, not {text[:60]!r}.", 400)
    return value


def _parse_leniently(what: str, text: str) -> Any:
    """The standard library also takes halves of surrogate pairs; it says what is wrong, and has no limit of depth."""
    if _measure_depth(text) > MAX_NESTING:
        raise RefusedError(f"{what} is nested more than {MAX_NESTING} deep.", 400)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{what} is not valid JSON: {error}.", 400) from error


def _measure_depth(text: str) -> int:
    # Brackets within strings count as well: this only ever refuses too early, and never hangs.
    depth = deepest = 0
    for bracket in BRACKETS.finditer(text):
        depth += 1 if bracket[0] in "{[" else -1
        deepest = max(deepest, depth)
    return deepest


def encode_node(kind: Kind, *parts: object) -> str:
    """The id that GraphQL clients hold for a row, as W&B writes it: ``Run:v1:name:project:entity``."""
    return base64.b64encode(":".join([kind, "v1", *map(str, parts)]).encode()).decode()


def decode_node(kind: Kind, node_id: str) -> list[str]:
    """The parts that :func:`encode_node` was given; none where the id is of another kind or no node id."""
    try:
        text = base64.b64decode(node_id, validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        return []
    found, _, rest = text.partition(":v1:")
    return rest.split(":") if found == kind and rest else []


def check_name(what: str, name: str) -> str:
    """Refuse names that cannot be part of a URL or that no one could read."""
    if not name or len(name) > MAX_NAME or any(char in '/\\#?%:"' or ord(char) < 32 for char in name):
        raise RefusedError(
            f"Invalid {what} {name[:40]!r}: 1 to {MAX_NAME} characters, none of / \\ # ? % : and quotes.",
            400,
        )
    return name


def find_project(store: Reader, entity: str | None, name: str | None) -> Row | None:
    """A project by its names."""
    names = (entity or DEFAULT_ENTITY, name or DEFAULT_PROJECT)
    return store.one("SELECT * FROM projects WHERE entity = ? AND name = ?", names)


def ensure_project(store: Store, entity: str | None, name: str | None) -> Row:
    """A project by its names, made when it is missing."""
    project = find_project(store, entity, name)
    if project is None:
        store.insert(
            "projects",
            entity=check_name("entity", entity or DEFAULT_ENTITY),
            name=check_name("project", name or DEFAULT_PROJECT),
            created_at=store.tick(),
        )
        project = find_project(store, entity, name)
    assert project is not None  # noqa: S101 - just made
    return project


def get_project(store: Reader, project_id: int) -> Row:
    """The project of a row that names it."""
    project = store.one("SELECT * FROM projects WHERE id = ?", (project_id,))
    assert project is not None  # noqa: S101 - a foreign key
    return project


def require_named_run(store: Reader, entity: str | None, project: str | None, name: str) -> Row:
    """A run by its names.

    Raises:
        RefusedError: There is none (404).
    """
    run = find_run(store, find_project(store, entity, project), name)
    if run is None:
        raise RefusedError(f"Run {name[:40]!r} not found.", 404)
    return run


def find_sweep(store: Reader, project: Row | None, name: str | None) -> Row | None:
    """A sweep by its project and short name."""
    if project is None or name is None:
        return None
    return store.one("SELECT * FROM sweeps WHERE project_id = ? AND name = ?", (project["id"], name))


def find_run(store: Reader, project: Row | None, name: str | None) -> Row | None:
    """A run by its project and short name."""
    if project is None or name is None:
        return None
    return store.one("SELECT * FROM runs WHERE project_id = ? AND name = ?", (project["id"], name))


def get_run(store: Reader, run_id: int) -> Row:
    """A run that is known to exist."""
    run = store.one("SELECT * FROM runs WHERE id = ?", (run_id,))
    assert run is not None  # noqa: S101 - asked only for what was just found
    return run


def find_node(store: Store, kind: Literal["Run", "Sweep"], node_id: str) -> Row | None:
    """A run or a sweep by its node id."""
    match decode_node(kind, node_id):
        case [name, project, entity]:
            finder = find_run if kind == "Run" else find_sweep
            return finder(store, find_project(store, entity, project), name)
        case _:
            return None


def name_node(store: Store, kind: Literal["Run", "Sweep"], row: Any) -> str:
    """The node id of a run or a sweep."""
    project = get_project(store, row["project_id"])
    return encode_node(kind, row["name"], project["name"], project["entity"])

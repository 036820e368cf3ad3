"""The server's data: one SQLite database, and a clock that never repeats itself."""

import json
import math
import secrets
import sqlite3
import string
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from multistage.errors import ServiceError
from multistage.wandb_server.patterns import matches

Row = sqlite3.Row
Parameters = tuple[Any, ...] | Mapping[str, Any]

SCHEMA_VERSION = 5
"""Each version has a script in ``migrations/`` that leads to it from the one before."""

MANY_CHANGES = 10_000
"""Rows changed between two checkpoints while clients write: up to 100 MB of log."""
ID_CHARACTERS = string.ascii_lowercase + string.digits


class Reader:
    """What can be asked of a database.

    Args:
        connection: To the database.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.connection.row_factory = sqlite3.Row

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self.connection.execute(sql, parameters)

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of a query, or None."""
        row: Row | None = self.connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of a query."""
        return self.connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.connection.execute(sql, parameters).fetchone()
        return row[0] if row else None


class Store(Reader):
    """The database of one data folder. One process, and one thread and connection that write.

    Write-ahead logging with ``synchronous=NORMAL``: what was committed survives a killed process and a full
    disk; only a power cut or a crash of the operating system can take the last moments.

    Args:
        path: The database file; made when it is missing.

    Raises:
        ServiceError: The file was written by a newer version, or is no database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            super().__init__(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = NORMAL")
            self.connection.execute("PRAGMA foreign_keys = ON")
            # Checkpoints wait for the disk; :meth:`checkpoint` makes them where no request waits with them.
            self.connection.execute("PRAGMA wal_autocheckpoint = 0")
            self.connection.execute("PRAGMA temp_store = MEMORY")
            self.connection.execute("PRAGMA cache_size = -16384")
            self._prepare()
            latest = self.value("SELECT max(heartbeat_at) FROM runs")
        except sqlite3.OperationalError as error:
            raise ServiceError(
                f"The embedded server cannot use its database {path}: {error}.",
                "Free some space, or make the folder writable; a damaged file can be moved away.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise ServiceError(
                f"The embedded server cannot use its database {path}: {error}.",
                "Move the file away to start with an empty one.",
            ) from error
        self.connection.create_function("regexp", 2, matches, deterministic=True)
        self._readers: list[Reader] = []
        self._depth = 0
        self._seen_changes = self._checkpointed_changes = 0
        self._last_tick: int = latest or 0

    def _prepare(self) -> None:
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise ServiceError(
                f"The database {self.path} has schema {version}; this version knows {SCHEMA_VERSION}.",
                "Update multistage-sweep, or use another data folder.",
            )
        if version < SCHEMA_VERSION:
            newer = [f"migrations/{number}.sql" for number in range(version + 1, SCHEMA_VERSION + 1)]
            scripts = newer if version else ["tables.sql"]
            changes = ";".join(files(__package__).joinpath(script).read_text() for script in scripts)
            self.connection.executescript(f"BEGIN;{changes};PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """The database as it is at this moment, for reading in another thread: nobody waits for it."""
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = self._connect_reader()
        try:
            reader.execute("BEGIN")
            yield reader
        finally:
            reader.connection.rollback()
            self._readers.append(reader)

    def _connect_reader(self) -> Reader:
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        reader = Reader(sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False))
        reader.connection.create_function("regexp", 2, matches, deterministic=True)
        return reader

    def wants_checkpoint(self) -> bool:
        """Whether it is time for one: much was written since the last, or nothing any more since the last look.

        The first commit after each checkpoint waits for the disk, so that there should be few while clients wait.
        """
        changes = self.connection.total_changes
        quiet, self._seen_changes = changes == self._seen_changes, changes
        wanted = changes - self._checkpointed_changes >= MANY_CHANGES or (
            quiet and changes > self._checkpointed_changes
        )
        if wanted:
            self._checkpointed_changes = changes
        return wanted

    def checkpoint(self) -> None:
        """Move the log's content into the database; blocks nobody, and belongs into another thread."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()

    def close(self) -> None:
        """Write the log back into the database and close it."""
        while self._readers:
            self._readers.pop().connection.close()
        try:
            self.connection.execute("PRAGMA optimize")
        finally:
            self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; within another transaction, part of that one."""
        if self._depth:
            yield
            return
        self.connection.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            # A full disk may fail the commit itself, and may have rolled back already.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0

    def insert(self, table: str, **values: Any) -> int:
        """Insert a row; the names come from the code, never from a request. Returns its id."""
        names = ", ".join(values)
        marks = ", ".join("?" for _ in values)
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
        return self.connection.execute(sql, tuple(values.values())).lastrowid or 0

    def update(self, table: str, row_id: int, **values: Any) -> None:
        """Change a row; the names come from the code, never from a request."""
        changes = ", ".join(f"{name} = ?" for name in values)
        sql = f"UPDATE {table} SET {changes} WHERE id = ?"  # noqa: S608
        self.connection.execute(sql, (*values.values(), row_id))

    def tick(self) -> int:
        """The time in microseconds since 1970, later than every earlier answer of this database's life.

        A poller that asks for what changed at or after the latest time it saw misses nothing.
        """
        self._last_tick = max(time.time_ns() // 1000, self._last_tick + 1)
        return self._last_tick


def format_time(microseconds: int) -> str:
    """A stored time as W&B writes times: ISO 8601, UTC."""
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{microseconds % 1_000_000:06d}Z"


def parse_time(text: str) -> int:
    """The inverse of :func:`format_time`; a time without a zone is UTC.

    Raises:
        ValueError: The text is no ISO 8601 time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def generate_id() -> str:
    """Eight random characters, as W&B names runs, sweeps and agents."""
    return "".join(secrets.choice(ID_CHARACTERS) for _ in range(8))


def dump_json(value: Any) -> str:
    """Compact JSON that SQLite can search: NaN and infinities become strings, as wandb writes them."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_name_non_finite(value), separators=(",", ":"))


def _name_non_finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case dict():
            return {key: _name_non_finite(item) for key, item in value.items()}
        case list():
            return [_name_non_finite(item) for item in value]
        case _:
            return value

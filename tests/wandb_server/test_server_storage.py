"""What the data folder goes through: older schemas, a full disk."""

import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from multistage.errors import ServiceError
from multistage.wandb_server.store import MANY_CHANGES, SCHEMA_VERSION, Store
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

SCHEMAS = Path(__file__).parent / "schemas"
"""What ``tables.sql`` was in each earlier version."""

Room = Callable[[int | None], None]
"""Returns the server so many bytes more to write, or as many as it likes."""


def make_database(path: Path, version: int) -> None:
    """A data folder of an earlier version, with a project, a sweep that stops early, and a run with two rows."""
    with sqlite3.connect(path) as connection:
        connection.executescript((SCHEMAS / f"{version}.sql").read_text())
        connection.executescript(
            """
            INSERT INTO projects (id, entity, name, created_at) VALUES (1, 'local', 'old', 1);
            INSERT INTO sweeps (id, project_id, name, state, config, created_at, updated_at)
              VALUES (1, 1, 'sweep', 'RUNNING', 'method: custom', 1, 1);
            INSERT INTO runs (id, project_id, name, sweep, state, created_at, heartbeat_at)
              VALUES (1, 1, 'run', 'sweep', 'finished', 1, 1);
            INSERT INTO lines VALUES (1, 0, 0, 0, '{"x":1}'), (1, 0, 1, 1, '{"x":2}');
            INSERT INTO bands VALUES (1, 3, 0.5, 1);
            """
        )
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def describe(store: Store) -> dict[str, object]:
    """Every table's columns and every index, whatever the order in which they came."""
    tables = {
        row["name"]: sorted(
            tuple(column)[1:4] + tuple(column)[5:] for column in store.all(f"PRAGMA table_info({row['name']})")
        )
        for row in store.all("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    indexes = {row["name"]: row["sql"] for row in store.all("SELECT name, sql FROM sqlite_master WHERE type = 'index'")}
    return {"tables": tables, "indexes": indexes}


def test_every_earlier_version_has_its_schema_here() -> None:
    assert sorted(int(path.stem) for path in SCHEMAS.glob("*.sql")) == list(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_earlier_data_folder_becomes_one_of_today(tmp_path: Path, version: int) -> None:
    make_database(tmp_path / "old.sqlite", version)
    old, new = Store(tmp_path / "old.sqlite"), Store(tmp_path / "new.sqlite")
    assert describe(old) == describe(new)
    assert old.value("PRAGMA user_version") == SCHEMA_VERSION
    assert [row["content"] for row in old.all("SELECT content FROM lines")] == ['{"x":1}', '{"x":2}']
    assert old.value("SELECT value FROM bands") == 0.5
    old.close()
    new.close()
    Store(tmp_path / "old.sqlite").close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    make_database(tmp_path / "old.sqlite", 1)
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.execute("CREATE TABLE artifacts (in_the_way INTEGER)")
    connection.close()
    with pytest.raises(ServiceError, match="cannot use its database"):
        Store(tmp_path / "old.sqlite")
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert "artifact_collections" not in names


def test_a_later_data_folder_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "later.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(ServiceError, match=f"has schema {SCHEMA_VERSION + 1}"):
        Store(tmp_path / "later.sqlite")


def test_the_log_is_written_back_when_it_is_long_or_nobody_writes(tmp_path: Path) -> None:
    store = Store(tmp_path / "new.sqlite")
    store.wants_checkpoint()
    assert not store.wants_checkpoint()

    def write(count: int) -> None:
        with store.transaction():
            for _ in range(count):
                store.insert("projects", entity="local", name=str(store.tick()), created_at=0)

    write(1)
    assert [store.wants_checkpoint() for _ in range(3)] == [False, True, False]
    write(MANY_CHANGES)
    assert [store.wants_checkpoint() for _ in range(2)] == [True, False]
    store.close()


@contextmanager
def limited(folder: Path) -> Iterator[tuple[ServerProcess, Room]]:
    """A server that may write files up to a size only."""
    with ServerProcess(folder) as server:

        def give_room(size: int | None) -> None:
            assert server.process is not None
            pid, (_, hard) = server.process.pid, resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
            largest = max(path.stat().st_size for path in server.folder.iterdir())
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else largest + size, hard))

        yield server, give_room


@contextmanager
def on_small_disk(folder: Path) -> Iterator[tuple[ServerProcess, Room]]:
    """A server whose data folder is a file system of its own."""
    disk = folder / "data"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount")
    ballast = disk / "ballast"
    try:
        with ServerProcess(folder) as server:

            def give_room(size: int | None) -> None:
                ballast.unlink(missing_ok=True)
                if size is not None:
                    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
                    ballast.write_bytes(b" " * (free - size))

            yield server, give_room
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="limits and mounts of Linux")
@pytest.mark.parametrize("place", [limited, on_small_disk])
def test_full_disk_loses_no_acknowledged_row_and_is_survived(
    tmp_path: Path, place: Callable[[Path], AbstractContextManager[tuple[ServerProcess, Room]]]
) -> None:
    text = "x" * 2000
    with place(tmp_path) as (server, give_room), Session(server) as session:
        session.start_run("full", "run")
        link = session.ask(
            'mutation {createRunFiles(input: {projectName: "full", runName: "run", files: ["f"]}) {files {uploadUrl}}}'
        )["createRunFiles"]["files"][0]["uploadUrl"].partition(str(server.port))[2]
        give_room(400_000)
        count, refusal = 0, b""
        while not refusal:
            body = '{"files": {"wandb-history.jsonl": {"offset": %d, "content": ["{\\"x\\": \\"%s\\"}"]}}}'
            status, answer = session.send("POST", "/files/local/full/run/file_stream", (body % (count, text)).encode())
            if status == 200:
                count += 1
                assert count < 1000, "the disk was never full"
            else:
                assert status == 503, answer
                refusal = answer
        assert re.search(rb"cannot store this now: .*(full|I/O error|too large)", refusal), refusal
        assert session.send("PUT", link, b"y" * 4_000_000, {})[0] == 503
        assert len(session.read_history("full", "run")) == count > 5
        give_room(None)
        session.log("full", "run", count, {"x": text})
        assert session.send("PUT", link, b"y" * 4_000_000, {})[0] == 200
        assert len(session.read_history("full", "run")) == count + 1
        server.kill()
        server.start()
        with Session(server) as again:
            assert len(again.read_history("full", "run")) == count + 1

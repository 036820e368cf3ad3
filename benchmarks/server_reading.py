"""Large reads and writes by W&B's own client: a long history, an artifact of many files, a list with a filter."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from server_load import Server

from multistage.wandb_server.store import Store, dump_json

TIMES = 3

SCAN = """
import json, sys, time, wandb
run = wandb.Api().run("local/long/long")
best, used = float("inf"), float("inf")
for _ in range(int(sys.argv[2])):
    started, before = time.perf_counter(), time.process_time()
    steps = {row["_step"] for row in run.scan_history(page_size=int(sys.argv[1]))}
    best, used = min(best, time.perf_counter() - started), min(used, time.process_time() - before)
print(json.dumps([best, used, len(steps)]))
"""

ARTIFACT = """
import json, os, sys, time, wandb
from pathlib import Path
folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir()
for number in range(count):
    (folder / f"{number}.bin").write_bytes(os.urandom(10_000))
with wandb.init(project="many") as run:
    started = time.perf_counter()
    artifact = wandb.Artifact("files", type="dataset")
    artifact.add_dir(str(folder))
    run.log_artifact(artifact).wait()
    written = time.perf_counter() - started
artifact = wandb.Api().artifact("local/many/files:latest")
started = time.perf_counter()
names = len(list(artifact.files(per_page=1000)))
listed = time.perf_counter() - started
os.environ["WANDB_CACHE_DIR"] = sys.argv[1] + "-cache"
started = time.perf_counter()
path = Path(artifact.download(root=sys.argv[1] + "-back", skip_cache=True))
read = time.perf_counter() - started
same = sum(one.read_bytes() == (path / one.name).read_bytes() for one in folder.iterdir())
print(json.dumps([written, listed, names, read, same]))
"""

LISTS = """
import json, time, wandb
api = wandb.Api()

def measure(**question):
    times = []
    for _ in range(7):
        api.flush()
        started = time.perf_counter()
        runs = api.runs("local/stored", per_page=50, **question)
        count, _ = len(runs), runs[0:50]
        times.append(time.perf_counter() - started)
    return [sorted(times)[3], max(times), count]

by_both = {"$and": [{"config.layers.value": 3}, {"summary_metrics.score": {"$gt": 0.5}}]}
print(json.dumps({
    "by config and summary": measure(filters=by_both),
    "by config and summary, ordered by a metric": measure(filters=by_both, order="-summary_metrics.score"),
    "by a part of the name": measure(filters={"display_name": {"$regex": "99"}}),
}))
"""


def run_client(server: Server, folder: Path, script: str, *arguments: str) -> str:
    """What a script of the client prints last."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=server.environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )
    return done.stdout.strip().rpartition("\n")[2]


def write_history(folder: Path, rows: int) -> None:
    """A finished run with a long history, written directly."""
    folder.mkdir()
    store = Store(folder / "wandb.sqlite")
    with store.transaction():
        now = store.tick()
        project = store.insert("projects", entity="local", name="long", created_at=now)
        run = store.insert(
            "runs",
            project_id=project,
            name="long",
            display_name="long",
            state="finished",
            config="{}",
            summary=dump_json({"_step": rows - 1}),
            created_at=now,
            started_at=now,
            heartbeat_at=now,
            ended_at=now,
        )
        contents = (
            dump_json({"_step": step, "_runtime": step / 10, "score": step / 7, "train/loss": 1 / (step + 1)})
            for step in range(rows)
        )
        store.connection.executemany(
            "INSERT INTO lines VALUES (?, 0, ?, ?, ?)",
            ((run, step, step, content) for step, content in enumerate(contents)),
        )
    store.close()


def read_database(path: Path) -> int:
    """How many rows there are, each read as a client of SQLite would."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT content FROM lines WHERE stream = 0 ORDER BY line")
    found = [json.loads(row) for (row,) in rows]
    connection.close()
    return len(found)


def measure_history(folder: Path, rows: int, report: Callable[[str, str], None], ends: ExitStack) -> None:
    """A long history, read by the client, and from the database as a client of SQLite would."""
    write_history(folder / "long", rows)
    base = float("inf")
    for _ in range(TIMES):
        started = time.process_time()
        assert read_database(folder / "long" / "wandb.sqlite") == rows
        base = min(base, time.process_time() - started)
    report(f"{rows} rows read from SQLite", f"{base:.2f} processor s")
    server = Server(folder / "long")
    ends.callback(server.stop)
    for size in (1000, 10_000):
        before = server.measure_processor()
        best, used, found = json.loads(run_client(server, folder, SCAN, str(size), str(TIMES)))
        part = (server.measure_processor() - before) / TIMES
        report(
            f"scan_history of {rows} rows, {size} a page",
            f"{best:.2f} s, lost {rows - found}; processor: server {part:.2f} s ({part / base:.2f} of SQLite's; goal: "
            f"under 2), client's Python {used:.2f} s",
        )
    server.stop()


def measure_artifact(folder: Path, files: int, report: Callable[[str, str], None], ends: ExitStack) -> None:
    """An artifact of many files, there and back."""
    server = Server(folder / "many")
    ends.callback(server.stop)
    answer = run_client(server, folder, ARTIFACT, str(folder / "files"), str(files))
    server.stop()
    written, listed, names, read, same = json.loads(answer)
    report(f"artifact of {files} files, logged", f"{written:.1f} s")
    report("its files listed", f"{names} in {listed:.2f} s")
    report("downloaded", f"{same} the same in {read:.1f} s")


def measure_lists(server: Server, folder: Path, report: Callable[[str, str], None]) -> None:
    """A page of many stored runs, with filters."""
    for what, (median, worst, count) in json.loads(run_client(server, folder, LISTS)).items():
        report(f"page of 50 of {count} runs, {what}", f"{median * 1000:.0f} ms, worst {worst * 1000:.0f} (goal: 300)")

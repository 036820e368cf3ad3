"""The embedded W&B server under load: prints figures, asserts nothing.

    python benchmarks/server.py [--seconds 30] [--runs 10000] [--rows 200] [--only-remote]

1. 100 agents that heartbeat every second and 100 runs that log a row a second each, at the level of the
   protocol, beside four real clients: latency of a heartbeat, rows lost, memory.
2. The same load without the clients, from workers elsewhere, with a key that opens their sweep alone.
3. A database of many runs: a page of ``wandb.Api().runs``, filtered lists, a poll for what changed, a
   hyperband decision, memory.
4. A history of 100,000 rows, an artifact of 1,000 files.
5. Attacks: what ``/healthz`` and a heartbeat take beside each.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from server_attacks import measure_attacks
from server_load import CLIENTS, Client, Server, load
from server_reading import measure_artifact, measure_history, measure_lists

from multistage.services.hosts import find_address
from multistage.wandb_server.store import Store, dump_json

CLIENT = """
import wandb, time, sys
with wandb.init(project="load") as run:
    end = time.time() + float(sys.argv[1])
    count = 0
    while time.time() < end:
        run.log({"x": count})
        count += 1
        time.sleep(0.1)
print(run.id, count)
"""
READER = """
import json, os, sys, time, wandb
def measure(question):
    times = []
    for _ in range(20):
        api.flush()
        started = time.perf_counter()
        count = len(question())
        times.append(time.perf_counter() - started)
    return [sorted(times)[10] * 1000, count]
api = wandb.Api()
page = lambda lazy, **more: (lambda: api.runs("local/stored", per_page=50, lazy=lazy, **more)[0:50])
cursor = api.runs("local/stored", order="-heartbeat_at", per_page=1)[0]._attrs["heartbeatAt"]
fresh = {"$or": [{"heartbeatAt": {"$gte": cursor}}, {"name": {"$in": ["r5", "r9"]}}]}
changed = {"$and": [{"sweep": "sweep000"}, fresh]}
print(json.dumps({
    "page of 50 runs": measure(page(True)),
    "page of 50 runs with config and summary": measure(page(False)),
    "page of 50 runs by summary metric": measure(page(True, order="-summary_metrics.score")),
    "poll for what changed": measure(lambda: list(api.runs("local/stored", filters=changed, order="+heartbeat_at"))),
}))
"""

START_RUN = """mutation UpsertBucket($n: String) {
  upsertBucket(input: {modelName: "stored", name: $n, sweep: "sweep000"}) {bucket {id}}
}"""


def measure_load(folder: Path, seconds: float, report: Callable[[str, str], None], ends: ExitStack) -> None:
    """100 agents, 100 runs and four real clients."""
    server = Server(folder / "load")
    ends.callback(server.stop)
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(seconds + 5)],
            env=server.environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(CLIENTS)
    ]
    before = server.measure_processor()
    latencies, lateness, rows = asyncio.run(load(server, seconds, 100, 100))
    for client in clients:
        name, count = client.communicate(timeout=120)[0].split()
        rows[name] = int(count)
    report_load(server, seconds, before, (latencies, lateness, rows), report)


def measure_remote(folder: Path, seconds: float, report: Callable[[str, str], None], ends: ExitStack) -> None:
    """100 workers elsewhere, each an agent and a run: by an address other than 127.0.0.1, with a worker's key.

    Before it the same by 127.0.0.1 with the server's own key, so that what differs is seen.
    """
    host = find_address()
    if host is None:
        report("workers elsewhere", "not measured: this machine has no address but 127.0.0.1")
        return
    for place, told in ((None, "127.0.0.1, with the server's key"), (host, f"{host}, with a worker's key")):
        server = Server(folder / f"remote-{place}", place)
        ends.callback(server.stop)
        before = server.measure_processor()
        report("100 workers", f"by {told}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        figures = asyncio.run(load(server, seconds, 100, 100, present=0))
        report_load(server, seconds, before, figures, report)


def report_load(
    server: Server,
    seconds: float,
    before: float,
    told: tuple[list[float], list[float], dict[str, int]],
    report: Callable[[str, str], None],
) -> None:
    """End a server that was under load, and say what came of it.

    Args:
        server: The server.
        seconds: How long the load was.
        before: Processor seconds that the server had taken before.
        told: What `load` returned, the rows of other runs added.
        report: Takes each figure.
    """
    latencies, lateness, rows = told
    used = server.measure_processor() - before
    memory = server.measure_memory()
    server.stop()
    store = Store(server.folder / "wandb.sqlite")
    counts = store.all(
        "SELECT name, (SELECT count(*) FROM lines WHERE run_id = runs.id AND stream = 0) AS logged FROM runs"
    )
    stored: dict[str, int] = {row["name"]: row["logged"] for row in counts}
    store.close()
    latencies.sort()
    lateness.sort()
    report("heartbeats", f"{len(latencies)} in {seconds:.0f} s")
    report("heartbeat p50", f"{statistics.median(latencies):.1f} ms")
    report("heartbeat p99", f"{latencies[int(len(latencies) * 0.99)]:.1f} ms (goal: under 100)")
    report("heartbeat worst", f"{latencies[-1]:.1f} ms")
    report(
        "woken late by (the machine's part) p50, p99",
        f"{statistics.median(lateness):.1f} ms, {lateness[int(len(lateness) * 0.99)]:.1f} ms",
    )
    report(
        "rows acknowledged", f"{sum(rows.values())}, lost {sum(count - stored[name] for name, count in rows.items())}"
    )
    report("server CPU", f"{used / seconds:.0%} of a core")
    report("server memory under load", f"{memory:.0f} MB (goal: under 300)")


def fill(folder: Path, runs: int, rows: int) -> None:
    """A database of finished runs of one sweep, written directly."""
    folder.mkdir()
    store = Store(folder / "wandb.sqlite")
    config = (
        "method: custom\nprogram: train.py\nscheduler: {engine: none}\nmetric: {name: score, goal: maximize}\n"
        "early_terminate: {type: hyperband, min_iter: 10}\n"
    )
    with store.transaction():
        project = store.insert("projects", entity="local", name="stored", created_at=store.tick())
        now = store.tick()
        sweep = store.insert(
            "sweeps",
            project_id=project,
            name="sweep000",
            state="RUNNING",
            config=config,
            created_at=now,
            updated_at=now,
        )
        for index in range(runs):
            now = store.tick()
            score = (index * 7919) % runs / runs
            values = {"lr": {"value": score}, "layers": {"value": index % 5}, "seed": {"value": index}}
            row_id = store.insert(
                "runs",
                project_id=project,
                name=f"r{index}",
                display_name=f"s1-{index:05d}",
                sweep="sweep000",
                state="finished",
                config=dump_json(values),
                summary=dump_json({"score": score, "_step": rows - 1, "_runtime": 12.5, "train/loss": 1 - score}),
                created_at=now,
                started_at=now,
                heartbeat_at=now,
                ended_at=now,
            )
            store.connection.executemany(
                "INSERT INTO lines VALUES (?, 0, ?, ?, ?)",
                (
                    (
                        row_id,
                        step,
                        step,
                        dump_json({"_step": step, "score": score * step, "train/loss": 1 / (step + 1)}),
                    )
                    for step in range(rows)
                ),
            )
            store.execute("INSERT INTO bands VALUES (?, 10, ?, ?)", (sweep, -score, row_id))
    store.close()


async def measure_decisions(server: Server) -> list[float]:
    """Reports of rows that make a run reach a band, in ms."""
    client = Client(server.port, server.key)
    times = []
    for index in range(20):
        name = f"new{index}"
        await client.ask(
            START_RUN,
            n=name,
        )
        content = [json.dumps({"_step": step, "score": 2.0}) for step in range(10)]
        body = {"files": {"wandb-history.jsonl": {"offset": 0, "content": content}}}
        started = time.perf_counter()
        await client.post(f"/files/local/stored/{name}/file_stream", body)
        times.append((time.perf_counter() - started) * 1000)
    return times


def measure_storage(folder: Path, runs: int, rows: int, report: Callable[[str, str], None], ends: ExitStack) -> None:
    """What reading costs when much is stored."""
    started = time.perf_counter()
    fill(folder / "stored", runs, rows)
    size = sum(path.stat().st_size for path in (folder / "stored").iterdir()) / 1e6
    report(
        "stored", f"{runs} runs x {rows} rows, {size:.0f} MB on disk, written in {time.perf_counter() - started:.0f} s"
    )
    server = Server(folder / "stored")
    ends.callback(server.stop)
    report("server memory at start", f"{server.measure_memory():.0f} MB")
    done = subprocess.run(
        [sys.executable, "-c", READER],
        env=server.environment(folder),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    for name, (milliseconds, count) in json.loads(done.stdout.strip().rpartition("\n")[2]).items():
        report(f"{name} ({count})", f"{milliseconds:.1f} ms through the client (goal: under 100)")
    measure_lists(server, folder, report)
    report("server memory after reading", f"{server.measure_memory():.0f} MB (goal: under 300)")
    report_decisions(server, runs, report)
    server.stop()
    fill(folder / "fewer", runs // 10, rows)
    fewer = Server(folder / "fewer")
    ends.callback(fewer.stop)
    report_decisions(fewer, runs // 10, report)
    fewer.stop()


def report_decisions(server: Server, runs: int, report: Callable[[str, str], None]) -> None:
    """What early termination costs among so many runs, with the request that brings the rows."""
    decisions = sorted(asyncio.run(measure_decisions(server)))
    figure = f"{decisions[len(decisions) // 2]:.1f} ms, worst {decisions[-1]:.1f} (goal: under 50)"
    report(f"hyperband decision among {runs} runs", figure)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--only-remote", action="store_true", help="the workers elsewhere, and nothing else")
    arguments = parser.parse_args()

    def report(what: str, figure: str) -> None:
        print(f"{what:<48} {figure}", flush=True)

    with tempfile.TemporaryDirectory() as name, ExitStack() as ends:
        if not arguments.only_remote:
            measure_load(Path(name), arguments.seconds, report, ends)
        measure_remote(Path(name), arguments.seconds, report, ends)
        if arguments.only_remote:
            return
        attacked = Server(Path(name) / "attacked")
        ends.callback(attacked.stop)
        asyncio.run(measure_attacks(attacked, report))
        attacked.stop()
        measure_history(Path(name), 100_000, report, ends)
        measure_artifact(Path(name), 1000, report, ends)
        measure_storage(Path(name), arguments.runs, arguments.rows, report, ends)


if __name__ == "__main__":
    main()

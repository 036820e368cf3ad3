"""What loads the server: its process, a client at the level of the protocol, and agents and runs made of such."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from multistage.wandb_server.credentials import make_worker_key

CLIENTS = 4
"""Real ones, whose runs the load begins with."""

HEARTBEAT = """mutation Heartbeat($id: ID!, $metrics: JSONString, $runState: JSONString) {
  agentHeartbeat(input: {id: $id, metrics: $metrics, runState: $runState}) {agent {id} commands}
}"""
START_RUN = """mutation StartRun($n: String, $s: String) {
  upsertBucket(input: {modelName: "load", name: $n, sweep: $s}) {bucket {id}}
}"""
CREATE_AGENT = """mutation CreateAgent($s: String!) {
  createAgent(input: {host: "h", projectName: "load", sweep: $s}) {agent {id}}
}"""


class Client:
    """A connection that is kept open, as a client's is."""

    def __init__(self, port: int, key: str, host: str = "127.0.0.1") -> None:
        self._port, self._host = port, host
        self._token = base64.b64encode(f"api:{key}".encode()).decode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send JSON, read JSON."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Basic {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert " 200 " in answer.partition("\r\n")[0], answer
        length = int(answer.lower().partition("content-length: ")[2].split("\r\n")[0])
        found: dict[str, Any] = json.loads(await reader.readexactly(length))
        assert not found.get("errors"), found
        return found

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """One GraphQL request."""
        data: dict[str, Any] = (await self.post("/graphql", {"query": query, "variables": variables}))["data"]
        return data


class Server:
    """A server process with a data folder of its own.

    Args:
        folder: That one.
        host: A further address of this machine that it listens on.
    """

    def __init__(self, folder: Path, host: str | None = None) -> None:
        self.folder = folder
        self.host = host
        command = [sys.executable, "-m", "multistage.wandb_server", "--data", str(folder)]
        command += ["--host", "127.0.0.1", "--host", host] if host else []
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        announcement = folder / "server.json"
        while not announcement.exists():
            assert self.process.poll() is None
            time.sleep(0.05)
        self.url = json.loads(announcement.read_text())["url"]
        self.port = int(self.url.rpartition(":")[2])
        self.key = (folder / "key").read_text().strip()

    def environment(self, folder: Path) -> dict[str, str]:
        """What a W&B client needs."""
        own = {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.key, "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
        return {**os.environ, **own, "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1"}

    def measure_memory(self) -> float:
        """Resident memory in MB."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def measure_processor(self) -> float:
        """Processor time so far in seconds."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


async def load(
    server: Server, seconds: float, agents: int, runs: int, present: int = CLIENTS
) -> tuple[list[float], list[float], dict[str, int]]:
    """Heartbeats and rows for so long, each acknowledged.

    Where the server listens on a further address, they go there and show the key of the sweep's workers.

    Args:
        server: The server.
        seconds: How long.
        agents: Those that send a heartbeat each second.
        runs: Those that log a row each second.
        present: Runs of others that the load waits for.

    Returns:
        The heartbeats' latencies in ms; how late this process itself was woken, in ms, which is the machine's part in
        them; and each run's acknowledged rows.
    """
    setup = Client(server.port, server.key)
    config = "method: custom\nprogram: train.py\nscheduler: {engine: none}\n"
    sweep = (
        await setup.ask(
            'mutation M($c: String) {upsertSweep(input: {projectName: "load", config: $c}) {sweep {name}}}', c=config
        )
    )["upsertSweep"]["sweep"]["name"]
    while (await setup.ask('{project(name: "load") {runCount}}'))["project"]["runCount"] < present:
        await asyncio.sleep(0.1)
    key = make_worker_key(server.key, sweep) if server.host else server.key
    latencies: list[float] = []
    lateness: list[float] = []
    rows: dict[str, int] = {}
    end = time.perf_counter() + seconds

    async def beat(index: int) -> None:
        client = Client(server.port, key, server.host or "127.0.0.1")
        agent = (
            await client.ask(
                CREATE_AGENT,
                s=sweep,
            )
        )["createAgent"]["agent"]["id"]
        await asyncio.sleep(index / agents)
        while time.perf_counter() < end:
            started = time.perf_counter()
            await client.ask(
                HEARTBEAT,
                id=agent,
                metrics="{}",
                runState="{}",
            )
            answered = time.perf_counter()
            latencies.append((answered - started) * 1000)
            pause = max(0.0, 1 - (answered - started))
            await asyncio.sleep(pause)
            lateness.append((time.perf_counter() - answered - pause) * 1000)

    async def log(index: int) -> None:
        client, name = Client(server.port, key, server.host or "127.0.0.1"), f"run{index}"
        await client.ask(START_RUN, n=name, s=sweep)
        await asyncio.sleep(index / runs)
        count = 0
        while time.perf_counter() < end:
            started = time.perf_counter()
            row = json.dumps({"_step": count, "_timestamp": time.time(), "loss": 1 / (count + 1), "score": count})
            files = {
                "wandb-history.jsonl": {"offset": count, "content": [row]},
                "wandb-summary.json": {"offset": 0, "content": [row]},
            }
            await client.post(f"/files/local/load/{name}/file_stream", {"files": files})
            count += 1
            rows[name] = count
            await asyncio.sleep(max(0.0, 1 - (time.perf_counter() - started)))

    await asyncio.gather(*(beat(index) for index in range(agents)), *(log(index) for index in range(runs)))
    return latencies, lateness, rows

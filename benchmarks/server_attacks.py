"""Attacks on the server as load: what `/healthz` and a heartbeat take beside each."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from server_load import CREATE_AGENT, HEARTBEAT, Client, Server

SCHEMA = "{" + " ".join(f"a{n}: __schema {{types {{fields {{type {{fields {{name}}}}}}}}}}" for n in range(40)) + "}"
HISTORY = '{project(name: "load") {run(name: "r") {' + " ".join(f"a{n}: history" for n in range(40)) + "}}}"


def make_attacks(server: Server) -> dict[str, Callable[[], Awaitable[None]]]:
    """Each by name; all are bounded in count."""
    token = base64.b64encode(f"api:{server.key}".encode()).decode()

    async def send(head: str, body: bytes = b"", whole: bool = True) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with suppress(OSError):
            writer.write(head.encode() + body)
            await writer.drain()
            await (reader.read() if whole else asyncio.wait_for(reader.read(), 3))
        writer.close()

    def post(path: str, body: bytes) -> Awaitable[None]:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\nConnection: close\r\n"
        return send(f"{head}Content-Length: {len(body)}\r\n\r\n", body)

    async def half(head: str, count: int, body: bytes = b"") -> None:
        await asyncio.gather(*(send(head, body, whole=False) for _ in range(count)), return_exceptions=True)

    lines = json.dumps({"files": {"output.log": {"offset": 0, "content": ["x"] * 1_000_000}}}).encode()
    parts = b'{"query": "{viewer {id}}", "variables": {"a": [' + b"[]," * 6_000_000 + b"[]]}}"
    telemetry = "POST /sdk/otel/v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
    return {
        "nothing": lambda: asyncio.sleep(3),
        "a million console lines": lambda: post("/files/local/load/r/file_stream", lines),
        "the schema 40 times": lambda: post("/graphql", json.dumps({"query": SCHEMA}).encode()),
        "the history 40 times": lambda: post("/graphql", json.dumps({"query": HISTORY}).encode()),
        "20 MB of empty lists": lambda: post("/graphql", parts),
        "60 unfinished telemetries": lambda: half(telemetry, 60, b"x" * 1_000_000),
        "400 half-sent heads": lambda: half("GET /healthz HT", 400),
    }


async def measure_attacks(server: Server, report: Callable[[str, str], None]) -> None:
    """Measure the answers' p99 beside each attack."""
    client = Client(server.port, server.key)
    await client.ask('mutation {upsertBucket(input: {modelName: "load", name: "r"}) {bucket {id}}}')
    config = "method: custom\nprogram: train.py\nscheduler: {engine: none}\n"
    sweep = await client.ask(
        'mutation M($c: String) {upsertSweep(input: {projectName: "load", config: $c}) {sweep {name}}}', c=config
    )
    agent = (await client.ask(CREATE_AGENT, s=sweep["upsertSweep"]["sweep"]["name"]))["createAgent"]["agent"]["id"]

    async def look() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()

    async def repeat(ask: Callable[[], Awaitable[object]], attack: "asyncio.Future[None]") -> float:
        times = []
        while not attack.done():
            began = time.perf_counter()
            await ask()
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0.02)
        return sorted(times)[int(len(times) * 0.99)]

    for name, attack in make_attacks(server).items():
        task = asyncio.ensure_future(attack())
        beat = lambda: client.ask(HEARTBEAT, id=agent, metrics="{}", runState="{}")  # noqa: E731
        health, heartbeat = await asyncio.gather(repeat(look, task), repeat(beat, task))
        await task
        report(f"beside {name}", f"healthz p99 {health:.2f} s (goal: 0.5), heartbeat p99 {heartbeat:.2f} s (goal: 1)")

"""A stand-in for Modal on this machine, for the unmodified ``modal`` client.

A gRPC server on 127.0.0.1 that ``modal deploy``, lookups, spawns, results and cancels go to, and whose containers are
the client's own entrypoint (``python -m modal._container_entrypoint``), each in a process with a socket of its own.
So what runs in tests is the real client, the real serialization and the real container code.

Only modelled, after Modal's documentation, is what the cloud decides: that a waiting call gets a container at once;
that a lost container's call is given to another one, without end; that a preempted container is warned by SIGINT and
then killed; that a timeout counts from the start of an attempt and kills the container; that three containers in a row
which cannot import their function fail its calls; that a container without calls leaves after a while. Not modelled
are queueing for machines, images (none is built; a container runs in this interpreter, where packages that the image
would not hold are hidden), limits of memory and processors, retry policies, several inputs at once and volumes. A new
token is given without anybody's consent, and logs are told whole. A file that a function adds at a path of its own is
taken from that path on this machine; what was uploaded is in the mounts.

    with ModalServer(folder, secrets={"wandb-secret": {"WANDB_API_KEY": key}}) as server:
        subprocess.run(["modal", "deploy", "app.py"], env={**os.environ, **server.environment})
"""

import asyncio
import functools
import hashlib
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web
from grpclib import GRPCError, Status
from grpclib.server import Server, Stream
from modal_proto.api_grpc import ModalClientBase

from tests.stand_ins.modal_containers import Container
from tests.stand_ins.modal_control_plane import ControlPlane
from tests.stand_ins.modal_objects import Call

T = TypeVar("T")
Handler = Callable[[Any], Awaitable[Any]]

ANONYMOUS = {"ClientHello", "TokenFlowCreate", "TokenFlowWait"}
"""RPCs of a client that has no token yet."""
FROM_CONTAINERS = {"ContainerHello", "ContainerHeartbeat", "FunctionGetInputs", "FunctionPutOutputs", "TaskResult"}
"""RPCs that only containers send."""


class Wire:
    """What lies between clients and the control plane: counting, faults, and answers to repeated requests."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.sent = bytearray()
        """All that clients sent to the control plane."""
        self.away = False
        self.lost_replies: Counter[str] = Counter()
        """So many replies to an RPC are lost, though it was done."""
        self.failures: Counter[str] = Counter()
        """So many times an RPC fails, and is not done."""
        self.answers: dict[str, Any] = {}


def make_servicer(plane: ControlPlane, container: Container | None, wire: Wire | None = None) -> ModalClientBase:
    """Make the gRPC service that a client, or one container, talks to."""

    def find_handler(name: str) -> Handler | None:
        method = getattr(plane, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), None)
        if method is None or name not in FROM_CONTAINERS:
            return method
        return lambda request: method(request, container)

    def make_method(name: str) -> Callable[[ModalClientBase, "Stream[Any, Any]"], Coroutine[Any, Any, None]]:
        handler = find_handler(name)

        async def answer(_: ModalClientBase, stream: "Stream[Any, Any]") -> None:
            request: Any = await stream.recv_message()
            if handler is None:
                raise GRPCError(Status.UNIMPLEMENTED, f"The stand-in has no {name}")
            if wire is None:
                await stream.send_message(await handler(request))
                return
            metadata = dict(stream.metadata or {})
            wire.requests[name] += 1
            wire.sent += request.SerializeToString()
            if wire.away:
                raise GRPCError(Status.UNAVAILABLE, "The control plane is away")
            if wire.failures[name] > 0:
                wire.failures[name] -= 1
                raise GRPCError(Status.INTERNAL, "Something broke")
            if name not in ANONYMOUS and (
                metadata.get("x-modal-token-id") != "ak-stand-in"
                or metadata.get("x-modal-token-secret") != "as-stand-in"
            ):
                raise GRPCError(Status.UNAUTHENTICATED, "Token missing or invalid")
            key = str(metadata.get("x-idempotency-key", ""))
            if not key or key not in wire.answers:
                wire.answers[key] = await handler(request)
            if wire.lost_replies[name] > 0:
                wire.lost_replies[name] -= 1
                raise GRPCError(Status.UNAVAILABLE, "The reply was lost")
            await stream.send_message(wire.answers[key])

        return answer

    names = sorted(ModalClientBase.__abstractmethods__)
    servicer = type("Servicer", (ModalClientBase,), {name: make_method(name) for name in names})
    made: ModalClientBase = servicer()
    return made


class ModalServer:
    """The stand-in, in a thread of its own.

    Args:
        folder: For its files; kept short, since each container has a Unix socket in it.
        secrets: The workspace's secrets: variables by name.
    """

    def __init__(self, folder: Path, secrets: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.plane = ControlPlane(folder, secrets or {})
        self.plane.make_servicer = functools.partial(make_servicer, self.plane)
        self.wire = Wire()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="modal stand-in")

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs."""
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": "ak-stand-in",
            "MODAL_TOKEN_SECRET": "as-stand-in",
            "MODAL_CONFIG_PATH": str(self.plane.folder / "modal.toml"),
        }

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _open(self) -> None:
        self._server = Server([make_servicer(self.plane, None, self.wire)])
        await self._server.start("127.0.0.1", 0)
        sockets: Any = self._server._server
        self.url = f"http://127.0.0.1:{sockets.sockets[0].getsockname()[1]}"
        blobs = self.plane.folder / "blobs"
        blobs.mkdir()

        async def put(request: web.Request) -> web.Response:
            content = await request.read()
            (blobs / request.match_info["name"]).write_bytes(content)
            return web.Response(headers={"ETag": f'"{hashlib.md5(content).hexdigest()}"'})  # noqa: S324

        async def get(request: web.Request) -> web.Response:
            return web.Response(body=(blobs / request.match_info["name"]).read_bytes())

        application = web.Application(client_max_size=2**30)
        application.add_routes([web.put("/{name}", put), web.get("/{name}", get)])
        self._web = web.AppRunner(application)
        await self._web.setup()
        site = web.TCPSite(self._web, "127.0.0.1", 0)
        await site.start()
        host, port = self._web.addresses[0][:2]
        self.plane.blob_url = f"http://{host}:{port}"

    async def _close(self) -> None:
        await self.plane.close()
        self._server.close()
        await self._server.wait_closed()
        await self._web.cleanup()

    # What tests do to it

    def list_calls(self) -> list[Call]:
        """Every call that was ever spawned, the oldest first."""
        return list(self.plane.calls.values())

    def list_containers(self) -> list[Container]:
        """The containers that run."""
        return [
            container for function in list(self.plane.functions.values()) for container in list(function.containers)
        ]

    def kill(self, container: Container) -> None:
        """End a container at once, as ``kill -9`` or a lost machine does."""
        self._loop.call_soon_threadsafe(container.kill)

    def preempt(self, container: Container) -> None:
        """Take a container's machine away: a warning, a while to leave, then the end; its call is given to another."""

        async def take() -> None:
            container.interrupt()
            assert container.process is not None
            try:
                await asyncio.wait_for(container.process.wait(), self.plane.preemption_grace)
            except TimeoutError:
                container.kill()

        asyncio.run_coroutine_threadsafe(take(), self._loop)

"""Which call gets which container, and when one ends: a model of the cloud's scheduling."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from modal_proto import api_pb2

from tests.stand_ins.modal_containers import Container
from tests.stand_ins.modal_objects import App, Call, Function, Result

HEARTBEAT_HOLD = 14.0
"""Seconds for which a heartbeat is held, so that a cancel reaches a container at once; the client asks every 15."""
START_ATTEMPTS = 3
"""So many containers in a row that cannot import their function, and its calls fail with the reason."""


class Scheduler:
    """Calls and containers; everything runs on one event loop.

    Args:
        folder: For containers, mounted files and blobs.
        secrets: Their variables by name.
    """

    def __init__(self, folder: Path, secrets: Mapping[str, Mapping[str, str]]) -> None:
        self.folder = folder
        self.secrets: dict[str, dict[str, str]] = {name: dict(values) for name, values in secrets.items()}
        self.absent: tuple[str, ...] = ("prefect",)
        """Top-level packages that no container holds."""
        self.preemption_grace = 5.0
        self.cancel_grace = 60.0
        self.scaledown = 60.0
        self.start_delay = 0.0
        """Seconds, as `preemption_grace`, `cancel_grace` and `scaledown`."""
        self.apps: dict[str, App] = {}
        self.functions: dict[str, Function] = {}
        self.calls: dict[str, Call] = {}
        self.containers: list[Container] = []
        self.make_servicer: Callable[[Container], Any] | None = None
        self._secret_values: dict[str, dict[str, str]] = {}
        self._mounts: dict[str, dict[str, str]] = {}
        self._wakes: dict[str, asyncio.Condition] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._count = 0
        (folder / "files").mkdir()

    def _new_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}-{self._count:022d}"

    def _start(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End every container."""
        self._closing.set()
        for app in self.apps.values():
            app.stopped = True
        for container in self.containers:
            container.kill()
        pending = [task for task in self._tasks if task is not asyncio.current_task()]
        _, late = await asyncio.wait(pending, timeout=10) if pending else (set(), set())
        for task in late:
            task.cancel()

    def _lay_out(self, app: App) -> api_pb2.AppLayout:
        layout = api_pb2.AppLayout(function_ids=app.function_ids)
        for function_id in app.function_ids.values():
            function = self.functions[function_id]
            layout.objects.add(object_id=function_id, function_handle_metadata=function.handle)
            for dependency in function.definition.object_dependencies:
                layout.objects.add(object_id=dependency.object_id)
        return layout

    async def _enqueue(self, call: Call) -> None:
        call.function.pending.append(call)
        await self._wake(call.function)
        self._scale(call.function)

    async def _wake(self, function: Function) -> None:
        condition = self._wakes.setdefault(function.function_id, asyncio.Condition())
        async with condition:
            condition.notify_all()

    def _scale(self, function: Function) -> None:
        while len(function.pending) > function.idle_containers and len(function.containers) < function.limit:
            container = self._make_container(function)
            function.containers.add(container)
            self.containers.append(container)
            self._start(self._run(container))

    def _make_container(self, function: Function) -> Container:
        assert self.make_servicer is not None
        task_id = self._new_id("ta")
        environment: dict[str, str] = {}
        for secret_id in function.definition.secret_ids:
            environment |= self._secret_values[secret_id]
        mounts: dict[str, Path] = {}
        for mount_id in function.definition.mount_ids:
            for filename, name in self._mounts[mount_id].items():
                if filename.startswith("/root/"):
                    mounts[filename.removeprefix("/root/")] = self.folder / "files" / name
        return Container(
            task_id,
            function,
            self.folder / f"c{len(self.containers)}",
            environment=environment,
            mounts=mounts,
            absent=self.absent,
            make_handlers=self.make_servicer,
        )

    async def _run(self, container: Container) -> None:
        function = container.function
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self.start_delay)
        if self._closing.is_set():
            return
        await container.run(self._lay_out(function.app))
        function.containers.discard(container)
        call, container.call = container.call, None
        if call is not None and call.output is None:
            await self._lose(call)
        elif not container.took_call and function.pending:
            function.failed_starts += 1
            if function.failed_starts >= START_ATTEMPTS:
                self._fail_pending(function, container)
        if not function.app.stopped:
            self._scale(function)

    async def _lose(self, call: Call) -> None:
        """A container is gone with its call: the cloud gives the same input to another one, without end."""
        call.container = None
        if call.cancelled:
            call.end_with(Result.GENERIC_STATUS_TERMINATED, "Cancelled by the user.")
        elif not call.function.app.stopped:
            await self._enqueue(call)

    def _fail_pending(self, function: Function, container: Container) -> None:
        reason = Result(status=Result.GENERIC_STATUS_FAILURE, exception="The container does not start.")
        while function.pending:
            function.pending.popleft().end(container.start_failure or reason)

    async def _end_at_timeout(self, call: Call, container: Container) -> None:
        limit = call.function.definition.timeout_secs or 300
        try:
            await asyncio.wait_for(call.ended.wait(), limit)
        except TimeoutError:
            if call.container is container:
                call.end_with(Result.GENERIC_STATUS_TIMEOUT, f"Task's current input hit its timeout of {limit}s")
                container.kill()

    # Calls, as their containers see them

    async def container_hello(self, _request: Empty, _container: Container) -> Empty:
        return Empty()

    async def container_heartbeat(
        self, _request: api_pb2.ContainerHeartbeatRequest, container: Container
    ) -> api_pb2.ContainerHeartbeatResponse:
        try:
            input_id = await asyncio.wait_for(container.cancels.get(), HEARTBEAT_HOLD)
        except TimeoutError:
            return api_pb2.ContainerHeartbeatResponse()
        return api_pb2.ContainerHeartbeatResponse(cancel_input_event=api_pb2.CancelInputEvent(input_ids=[input_id]))

    async def function_get_inputs(
        self, _request: api_pb2.FunctionGetInputsRequest, container: Container
    ) -> api_pb2.FunctionGetInputsResponse:
        function = container.function
        condition = self._wakes.setdefault(function.function_id, asyncio.Condition())
        response = api_pb2.FunctionGetInputsResponse()
        async with condition:
            try:
                await asyncio.wait_for(condition.wait_for(lambda: function.pending), self.scaledown)
            except TimeoutError:
                response.inputs.add(kill_switch=True)
                return response
        call = function.pending.popleft()
        call.container, container.call, container.took_call = container, call, True
        function.failed_starts = 0
        call.attempts += 1
        call.started_at = time.time()
        self._start(self._end_at_timeout(call, container))
        response.inputs.add(
            input_id=call.input_id,
            input=call.input,
            function_call_id=call.call_id,
            function_call_invocation_type=call.invocation,
            retry_count=call.attempts - 1,
        )
        return response

    async def function_put_outputs(self, request: api_pb2.FunctionPutOutputsRequest, container: Container) -> Empty:
        for item in request.outputs:
            call = container.call
            if call is not None and call.input_id == item.input_id:
                call.end(item.result, item.data_format)
                call.container, container.call = None, None
        return Empty()

    async def task_result(self, request: api_pb2.TaskResultRequest, container: Container) -> Empty:
        container.start_failure = request.result
        return Empty()

"""What the stand-in for Modal remembers: apps, functions, calls and their attempts."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modal_proto import api_pb2

if TYPE_CHECKING:
    from tests.stand_ins.modal_containers import Container

Result = api_pb2.GenericResult


@dataclass
class App:
    """An app, deployed or being deployed."""

    app_id: str
    name: str = ""
    function_ids: dict[str, str] = field(default_factory=dict)
    deployments: int = 0
    stopped: bool = False


@dataclass
class Function:
    """A function, or a variant of one: each has containers of its own."""

    function_id: str
    app: App
    definition: api_pb2.Function
    pending: "deque[Call]" = field(default_factory=deque)
    containers: "set[Container]" = field(default_factory=set)
    failed_starts: int = 0
    """Containers in a row that ended before they took a call."""

    @property
    def handle(self) -> api_pb2.FunctionHandleMetadata:
        """What the client keeps of a function."""
        definition = self.definition
        return api_pb2.FunctionHandleMetadata(
            function_name=definition.function_name,
            function_type=definition.function_type,
            definition_id=f"de-{self.function_id[3:]}",
            app_id=self.app.app_id,
            function_schema=definition.function_schema,
            supported_input_formats=definition.supported_input_formats,
            supported_output_formats=definition.supported_output_formats,
        )

    @property
    def data(self) -> api_pb2.FunctionData:
        """The same, as the client reads it back."""
        data = api_pb2.FunctionData(
            module_name=self.definition.module_name,
            function_name=self.definition.function_name,
            function_type=self.definition.function_type,
            timeout_secs=self.definition.timeout_secs,
        )
        data.ranked_functions.add(rank=0, function=self.definition)
        return data

    @property
    def limit(self) -> int:
        """Containers at once."""
        return self.definition.autoscaler_settings.max_containers or self.definition.concurrency_limit or 1000

    @property
    def idle_containers(self) -> int:
        """Containers that start or wait for a call."""
        return sum(container.call is None for container in self.containers)


@dataclass(eq=False)
class Call:
    """A spawned call: one input, and its output once there is one."""

    call_id: str
    input_id: str
    function: Function
    input: api_pb2.FunctionInput
    invocation: "api_pb2.FunctionCallInvocationType.ValueType"
    attempts: int = 0
    """How often a container took it."""
    container: "Container | None" = None
    cancelled: bool = False
    output: api_pb2.FunctionGetOutputsItem | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    spawned_at: float = field(default_factory=time.time)
    started_at: float = 0.0

    def end(
        self, result: Result, data_format: "api_pb2.DataFormat.ValueType" = api_pb2.DATA_FORMAT_UNSPECIFIED
    ) -> None:
        """Keep the first result; a late one is dropped, as the cloud does."""
        if self.output is not None:
            return
        self.output = api_pb2.FunctionGetOutputsItem(
            result=result,
            idx=0,
            input_id=self.input_id,
            data_format=data_format,
            input_started_at=self.started_at,
            output_created_at=time.time(),
        )
        self.ended.set()

    def end_with(self, status: "Result.GenericStatus.ValueType", reason: str) -> None:
        """End without a value."""
        self.end(Result(status=status, exception=reason))

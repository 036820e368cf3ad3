"""The stand-in's control plane: one method an RPC of the client, named as the RPC in snake case."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from tests.stand_ins.modal_containers import Container
from tests.stand_ins.modal_objects import App, Call, Function, Result
from tests.stand_ins.modal_scheduler import Scheduler


class ControlPlane(Scheduler):
    """What a client can ask for.

    Args:
        folder: For containers, mounted files and blobs.
        secrets: Their variables by name.
    """

    def __init__(self, folder: Path, secrets: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(folder, secrets)
        self.python_version = "3.11"
        self.broken_image: str | None = None
        """Why images cannot be built; None: they can."""
        self.rates: dict[str, str] = {}
        """What `billing.rates()` answers; empty: the cloud does not tell."""
        self.images: list[api_pb2.Image] = []
        self.blob_url = ""
        self._variants: dict[bytes, Function] = {}
        self._dicts: dict[str, dict[bytes, bytes]] = {}

    # Clients, environments, secrets, images, mounts

    async def client_hello(self, _request: Empty) -> api_pb2.ClientHelloResponse:
        return api_pb2.ClientHelloResponse()

    async def auth_token_get(self, _request: Any) -> api_pb2.AuthTokenGetResponse:
        return api_pb2.AuthTokenGetResponse(token="stand-in")

    async def token_flow_create(self, _request: Any) -> api_pb2.TokenFlowCreateResponse:
        return api_pb2.TokenFlowCreateResponse(token_flow_id="tf-1", web_url="http://127.0.0.1/token", wait_secret="w")

    async def token_flow_wait(self, _request: Any) -> api_pb2.TokenFlowWaitResponse:
        return api_pb2.TokenFlowWaitResponse(
            token_id="ak-stand-in", token_secret="as-stand-in", workspace_username="stand-in"
        )

    async def workspace_name_lookup(self, _request: Any) -> Any:
        return api_pb2.WorkspaceNameLookupResponse(workspace_name="stand-in", username="stand-in")

    async def workspace_billing_rates(self, _request: Any) -> Any:
        if not self.rates:
            raise GRPCError(Status.UNIMPLEMENTED, "no rates here")
        return api_pb2.WorkspaceBillingRatesResponse(rates=self.rates)

    async def environment_get_or_create(self, _request: Any) -> Any:
        settings = api_pb2.EnvironmentSettings(image_builder_version="2025.06")
        return api_pb2.EnvironmentGetOrCreateResponse(
            environment_id="en-main", metadata=api_pb2.EnvironmentMetadata(name="main", settings=settings)
        )

    async def secret_get_or_create(
        self, request: api_pb2.SecretGetOrCreateRequest
    ) -> api_pb2.SecretGetOrCreateResponse:
        if request.object_creation_type == api_pb2.OBJECT_CREATION_TYPE_CREATE_FAIL_IF_EXISTS:
            if request.deployment_name in self.secrets:
                raise GRPCError(Status.ALREADY_EXISTS, f"Secret '{request.deployment_name}' exists already")
            self.secrets[request.deployment_name] = dict(request.env_dict)
        if request.deployment_name:
            values = self.secrets.get(request.deployment_name)
            if values is None:
                raise GRPCError(Status.NOT_FOUND, f"Secret '{request.deployment_name}' not found in environment 'main'")
            missing = [key for key in request.required_keys if key not in values]
            if missing:
                raise GRPCError(
                    Status.FAILED_PRECONDITION,
                    f"Secret '{request.deployment_name}' is missing key(s): {', '.join(missing)}",
                )
        else:
            values = dict(request.env_dict)
        secret_id = self._new_id("st")
        self._secret_values[secret_id] = dict(values)
        return api_pb2.SecretGetOrCreateResponse(secret_id=secret_id)

    async def image_get_or_create(self, request: api_pb2.ImageGetOrCreateRequest) -> api_pb2.ImageGetOrCreateResponse:
        self.images.append(request.image)
        if self.broken_image is not None:
            result = Result(status=Result.GENERIC_STATUS_FAILURE, exception=self.broken_image)
        else:
            result = Result(status=Result.GENERIC_STATUS_SUCCESS)
        metadata = api_pb2.ImageMetadata(
            python_version_info=f"Python {self.python_version}", image_builder_version="2025.06"
        )
        return api_pb2.ImageGetOrCreateResponse(image_id=self._new_id("im"), result=result, metadata=metadata)

    async def mount_batched_check_existence(
        self, request: api_pb2.MountBatchedCheckExistenceRequest
    ) -> api_pb2.MountBatchedCheckExistenceResponse:
        missing = [name for name in request.sha256_hex_hashes if not (self.folder / "files" / name).exists()]
        return api_pb2.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing)

    async def mount_put_file(self, request: api_pb2.MountPutFileRequest) -> api_pb2.MountPutFileResponse:
        path = self.folder / "files" / request.sha256_hex
        if request.WhichOneof("data_oneof") == "data_blob_id":
            shutil.copyfile(self.folder / "blobs" / request.data_blob_id, path)
        else:
            path.write_bytes(request.data)
        return api_pb2.MountPutFileResponse(exists=True)

    async def mount_get_or_create(self, request: api_pb2.MountGetOrCreateRequest) -> api_pb2.MountGetOrCreateResponse:
        mount_id = self._new_id("mo")
        self._mounts[mount_id] = {file.filename: file.sha256_hex for file in request.files}
        return api_pb2.MountGetOrCreateResponse(
            mount_id=mount_id, handle_metadata=api_pb2.MountHandleMetadata(content_checksum_sha256_hex=mount_id)
        )

    async def blob_create(self, _request: api_pb2.BlobCreateRequest) -> api_pb2.BlobCreateResponse:
        blob_id = self._new_id("bl")
        urls = api_pb2.UploadUrlList(items=[f"{self.blob_url}/{blob_id}"])
        return api_pb2.BlobCreateResponse(blob_id=blob_id, blob_ids=[blob_id], upload_urls=urls)

    async def blob_get(self, request: api_pb2.BlobGetRequest) -> api_pb2.BlobGetResponse:
        return api_pb2.BlobGetResponse(download_url=f"{self.blob_url}/{request.blob_id}")

    # Apps and functions

    async def app_get_by_deployment_name(
        self, request: api_pb2.AppGetByDeploymentNameRequest
    ) -> api_pb2.AppGetByDeploymentNameResponse:
        app = self.find_app(request.name)
        return api_pb2.AppGetByDeploymentNameResponse(app_id=app.app_id if app else "")

    async def app_get_or_create(self, request: api_pb2.AppGetOrCreateRequest) -> api_pb2.AppGetOrCreateResponse:
        app = self.find_app(request.app_name)
        if app is None:
            raise GRPCError(Status.NOT_FOUND, f"No app {request.app_name} here")
        return api_pb2.AppGetOrCreateResponse(app_id=app.app_id)

    def find_app(self, name: str) -> App | None:
        """The living app of a name."""
        return next((app for app in self.apps.values() if app.name == name and not app.stopped), None)

    async def app_create(self, _request: api_pb2.AppCreateRequest) -> api_pb2.AppCreateResponse:
        app = App(self._new_id("ap"))
        self.apps[app.app_id] = app
        return api_pb2.AppCreateResponse(app_id=app.app_id, app_page_url=f"http://127.0.0.1/{app.app_id}")

    async def app_get_layout(self, request: api_pb2.AppGetLayoutRequest) -> api_pb2.AppGetLayoutResponse:
        return api_pb2.AppGetLayoutResponse(app_layout=self._lay_out(self.apps[request.app_id]))

    async def app_heartbeat(self, _request: Any) -> Empty:
        return Empty()

    async def app_publish(self, request: api_pb2.AppPublishRequest) -> api_pb2.AppPublishResponse:
        app = self.apps[request.app_id]
        app.name = request.name
        app.function_ids = dict(request.function_ids)
        app.deployments += 1
        return api_pb2.AppPublishResponse(url=f"http://127.0.0.1/{app.app_id}", deployed_at=time.time())

    async def app_client_disconnect(self, _request: Any) -> Empty:
        return Empty()

    async def app_list(self, _request: Any) -> api_pb2.AppListResponse:
        response = api_pb2.AppListResponse()
        for app in self.apps.values():
            state = api_pb2.APP_STATE_STOPPED if app.stopped else api_pb2.APP_STATE_DEPLOYED
            response.apps.add(app_id=app.app_id, name=app.name, description=app.name, state=state)
        return response

    async def app_fetch_logs(self, request: api_pb2.AppFetchLogsRequest) -> api_pb2.AppFetchLogsResponse:
        response = api_pb2.AppFetchLogsResponse()
        for one in self.containers:
            if one.function.app.app_id == request.app_id and one.log.exists():
                batch = response.batches.add(task_id=one.task_id)
                text = one.log.read_text(errors="replace")
                batch.items.add(data=text, timestamp=time.time(), file_descriptor=api_pb2.FILE_DESCRIPTOR_STDOUT)
        return response

    async def app_stop(self, request: api_pb2.AppStopRequest) -> Empty:
        app = self.apps[request.app_id]
        app.stopped = True
        for call in self.calls.values():
            if call.function.app is app:
                call.end_with(Result.GENERIC_STATUS_TERMINATED, "The app was stopped.")
        for one in self.containers:
            if one.function.app is app:
                one.kill()
        return Empty()

    async def function_precreate(self, request: api_pb2.FunctionPrecreateRequest) -> api_pb2.FunctionPrecreateResponse:
        definition = api_pb2.Function(
            function_name=request.function_name,
            function_type=request.function_type,
            supported_input_formats=request.supported_input_formats,
            supported_output_formats=request.supported_output_formats,
        )
        function_id = request.existing_function_id or self._new_id("fu")
        if function_id not in self.functions:
            self.functions[function_id] = Function(function_id, self.apps[request.app_id], definition)
        function = self.functions[function_id]
        return api_pb2.FunctionPrecreateResponse(function_id=function_id, handle_metadata=function.handle)

    async def function_create(self, request: api_pb2.FunctionCreateRequest) -> api_pb2.FunctionCreateResponse:
        function = self.functions[request.existing_function_id]
        function.definition = request.function
        self.apps[request.app_id].function_ids[request.function.function_name] = function.function_id
        return api_pb2.FunctionCreateResponse(
            function_id=function.function_id,
            function=function.definition,
            function_data=function.data,
            handle_metadata=function.handle,
        )

    async def function_get(self, request: api_pb2.FunctionGetRequest) -> api_pb2.FunctionGetResponse:
        app = self.find_app(request.app_name)
        function_id = app.function_ids.get(request.object_tag) if app else None
        if function_id is None:
            raise GRPCError(Status.NOT_FOUND, f"App '{request.app_name}' or its function is not there")
        function = self.functions[function_id]
        return api_pb2.FunctionGetResponse(
            function_id=function_id, handle_metadata=function.handle, function=function.data
        )

    async def function_bind_params(
        self, request: api_pb2.FunctionBindParamsRequest
    ) -> api_pb2.FunctionBindParamsResponse:
        key = request.SerializeToString(deterministic=True)
        if key not in self._variants:
            base = self.functions[request.function_id]
            definition = api_pb2.Function()
            definition.CopyFrom(base.definition)
            options = request.function_options
            definition.resources.MergeFrom(options.resources)
            definition.scheduler_placement.MergeFrom(options.scheduler_placement)
            given = {field.name for field, _ in options.ListFields()}
            for name in {"timeout_secs", "concurrency_limit", "task_idle_timeout_secs"} & given:
                setattr(definition, name, getattr(options, name))
            definition.autoscaler_settings.ClearField("max_containers")
            if options.replace_secret_ids:
                definition.ClearField("secret_ids")
                definition.secret_ids.extend(options.secret_ids)
            self._variants[key] = Function(self._new_id("fu"), base.app, definition)
            self.functions[self._variants[key].function_id] = self._variants[key]
        variant = self._variants[key]
        return api_pb2.FunctionBindParamsResponse(bound_function_id=variant.function_id, handle_metadata=variant.handle)

    async def function_get_current_stats(self, request: Any) -> api_pb2.FunctionStats:
        function = self.functions[request.function_id]
        running = sum(one.call is not None for one in function.containers)
        return api_pb2.FunctionStats(
            backlog=len(function.pending), num_total_tasks=len(function.containers), num_running_inputs=running
        )

    async def task_list(self, _request: Any) -> api_pb2.TaskListResponse:
        response = api_pb2.TaskListResponse()
        for function in self.functions.values():
            for one in function.containers:
                response.tasks.add(task_id=one.task_id, app_id=function.app.app_id)
        return response

    # Dicts

    async def dict_get_or_create(self, request: api_pb2.DictGetOrCreateRequest) -> api_pb2.DictGetOrCreateResponse:
        dict_id = f"di-{request.deployment_name}"
        self._dicts.setdefault(dict_id, {})
        return api_pb2.DictGetOrCreateResponse(
            dict_id=dict_id, metadata=api_pb2.DictMetadata(name=request.deployment_name)
        )

    async def dict_update(self, request: api_pb2.DictUpdateRequest) -> api_pb2.DictUpdateResponse:
        kept = self._dicts[request.dict_id]
        created = all(entry.key not in kept for entry in request.updates)
        if created or not request.if_not_exists:
            kept.update((entry.key, entry.value) for entry in request.updates)
        return api_pb2.DictUpdateResponse(created=created)

    async def dict_get(self, request: api_pb2.DictGetRequest) -> api_pb2.DictGetResponse:
        value = self._dicts[request.dict_id].get(request.key)
        return api_pb2.DictGetResponse(found=value is not None, value=value)

    async def dict_pop(self, request: api_pb2.DictPopRequest) -> api_pb2.DictPopResponse:
        value = self._dicts[request.dict_id].pop(request.key, None)
        return api_pb2.DictPopResponse(found=value is not None, value=value)

    def list_notes(self) -> list[bytes]:
        """The keys in all dicts, as the client sent them."""
        return [key for kept in self._dicts.values() for key in kept]

    # Calls, as the client sees them

    async def function_map(self, request: api_pb2.FunctionMapRequest) -> api_pb2.FunctionMapResponse:
        (item,) = request.pipelined_inputs
        call = Call(
            call_id=self._new_id("fc"),
            input_id=self._new_id("in"),
            function=self.functions[request.function_id],
            input=item.input,
            invocation=request.function_call_invocation_type,
        )
        self.calls[call.call_id] = call
        await self._enqueue(call)
        response = api_pb2.FunctionMapResponse(function_call_id=call.call_id)
        response.pipelined_inputs.add(idx=item.idx, input_id=call.input_id, input_jwt=call.input_id)
        return response

    def _find_call(self, call_id: str) -> Call:
        if call_id not in self.calls:
            raise GRPCError(Status.NOT_FOUND, f"Function call '{call_id}' not found")
        return self.calls[call_id]

    async def function_get_outputs(
        self, request: api_pb2.FunctionGetOutputsRequest
    ) -> api_pb2.FunctionGetOutputsResponse:
        call = self._find_call(request.function_call_id)
        if request.timeout > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(call.ended.wait(), request.timeout)
        outputs = [] if call.output is None else [call.output]
        return api_pb2.FunctionGetOutputsResponse(outputs=outputs, num_unfinished_inputs=int(not outputs))

    async def function_call_from_id(
        self, request: api_pb2.FunctionCallFromIdRequest
    ) -> api_pb2.FunctionCallFromIdResponse:
        call = self._find_call(request.function_call_id)
        return api_pb2.FunctionCallFromIdResponse(function_call_id=call.call_id, num_inputs=1)

    async def function_call_cancel(self, request: api_pb2.FunctionCallCancelRequest) -> Empty:
        call = self._find_call(request.function_call_id)
        if call.output is not None or call.cancelled:
            return Empty()
        call.cancelled = True
        if call.container is None:
            if call in call.function.pending:
                call.function.pending.remove(call)
            call.end_with(Result.GENERIC_STATUS_TERMINATED, "Cancelled by the user.")
        elif request.terminate_containers:
            call.end_with(Result.GENERIC_STATUS_TERMINATED, "Cancelled by the user.")
            call.container.kill()
        else:
            call.container.cancels.put_nowait(call.input_id)
            self._start(self._end_late(call, call.container))
        return Empty()

    async def _end_late(self, call: Call, container: Container) -> None:
        try:
            await asyncio.wait_for(call.ended.wait(), self.cancel_grace)
        except TimeoutError:
            call.end_with(Result.GENERIC_STATUS_TERMINATED, "Cancelled by the user.")
            container.kill()

"""How a flow ends that is broken off: as Cancelled or Failed, with a sentence that says how to go on."""

import contextlib
import contextvars
import functools
import os
import shlex
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, ParamSpec, TypeVar, cast
from uuid import UUID

from prefect import Flow, State, get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.logging.loggers import flow_run_logger
from prefect.states import Cancelled, Cancelling, Failed

from multistage.domain.sweep.state import State as SweepState
from multistage.driver.launching import describe_workers_left
from multistage.driver.open_sessions import stop_sweep
from multistage.errors import MultistageError
from multistage.pipeline.tasks.interruptions import INTERRUPTIONS, ignore_signals, keep_signals
from multistage.request.asked_sweep import fill_name, locate_folder
from multistage.store.sweep_folder import SweepFolder

RUNNER = "PREFECT__FLOW_RUN_ID"
"""Set where a runner of Prefect's has started this process, and cancels its flow run."""
SUPERVISOR = "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"
"""Set where a container's supervisor decides how its flow run goes on after a SIGTERM."""
TIMEOUT = 10.0
"""Seconds within which Prefect's server must answer what is said while workers are ended."""
ANNOUNCED = "Interrupted."
"""Begins what is shown of a flow run that was interrupted."""
REASON = "It was interrupted."
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def end_in_words(run: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Have a flow that is interrupted be Cancelled and one that fails on purpose be Failed, its workers ended.

    Whoever called it gets `CancelledRun`, or the error.

    Args:
        run: The flow's body.
    """

    @functools.wraps(run)
    def ending(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        own = _get_own_run()
        with keep_signals():
            try:
                return run(*args, **kwargs)
            except (*INTERRUPTIONS, CancelledRun) as error:
                if isinstance(error, TerminationSignal) and os.environ.get(SUPERVISOR):
                    raise
                return cast(Result, _cancel(own, is_told=isinstance(error, CancelledRun)))
            except MultistageError as error:
                return cast(Result, _fail(own, error))

    return ending


def stop_workers(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """End the sweep's workers, note why, and log how to go on.

    A hook of the flows, for what their bodies do not see; safe to be called twice and from any process: after a cancel
    Prefect's runner calls the parent's in a process of its own.
    """
    is_interrupted = isinstance(state.data, INTERRUPTIONS)  # in Prefect's own part of the flow run
    reason = REASON if is_interrupted else state.message or ""
    told = _stop(flow_run, "failed" if state.is_failed() else "stopped", reason)
    if is_interrupted:
        with _open_client() as client:
            client.set_flow_run_state(flow_run.id, Cancelled(message=f"{ANNOUNCED} {told}".rstrip()), force=True)
    if told and told not in (state.message or ""):
        flow_run_logger(flow_run, flow).warning("%s", told)


def _get_own_run() -> FlowRun:
    here = FlowRunContext.get()
    assert here is not None and isinstance(here.flow_run, FlowRun)  # noqa: S101, PT018 - as a flow's body has them
    return here.flow_run


def _cancel(run: FlowRun, *, is_told: bool) -> State[Any]:
    """End the workers of a sweep that is interrupted."""
    ignore_signals()
    with contextlib.nullcontext() if is_told else _announce(run):
        message = f"{ANNOUNCED} {_stop(run, 'stopped', REASON)}".rstrip()
    get_run_logger().warning("%s", message)
    return Cancelled(message=message)


def _fail(run: FlowRun, error: MultistageError) -> State[Any]:
    message = f"{error} {_stop(run, 'failed', str(error))}".rstrip()
    get_run_logger().error("%s", message)
    return Failed(message=message, data=error)


@contextlib.contextmanager
def _announce(run: FlowRun) -> Iterator[None]:
    """Show a flow run and its parent as Cancelling at once, and meanwhile go on: Prefect may be slow, or away."""
    state = _read_state(run)
    runs = {run.id, UUID(state.flow_run_id)} if run.parent_task_run_id and state and state.flow_run_id else {run.id}
    if RUNNER in os.environ:  # it would cancel the parent's once more
        runs &= {run.id} if run.parent_task_run_id else set()
    message = f"{ANNOUNCED} {_describe_resume(_locate_folder(run))}" if state else ANNOUNCED
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(contextvars.copy_context().run, _show_cancelling, message, runs, run.id)
        yield
    if trouble := shown.exception():
        get_run_logger().warning("The cancellation could not be shown: %r", trouble)


def _show_cancelling(message: str, runs: Collection[UUID], interrupted: UUID) -> None:
    with _open_client() as client:
        for run_id in runs:
            client.set_flow_run_state(run_id, Cancelling(message=message), force=True)
        within = FlowRunFilter(id=FlowRunFilterId(any_=[interrupted]))
        for step in client.read_task_runs(flow_run_filter=within):
            if step.state is not None and (step.state.is_running() or step.state.is_crashed()):
                client.set_task_run_state(step.id, Cancelled(message=message), force=True)


def _open_client() -> SyncPrefectClient:
    """Open a client of one's own: the flow's may have been interrupted in the middle of a request."""
    return get_client(httpx_settings={"timeout": TIMEOUT}, sync_client=True)


def _stop(run: FlowRun, status: Literal["failed", "stopped"], reason: str) -> str:
    """End a sweep's workers; says what became of them and how to go on, or nothing where there was nothing to end."""
    try:
        # A flow run that was refused must not end another's workers.
        parent = None if run.parent_task_run_id else str(run.id)
        stopped = stop_sweep(_locate_folder(run).path, status, reason, flow_run_id=parent)
        if stopped is None:
            return ""
        left = describe_workers_left(stopped.load_state().options, has_failed=status == "failed")
    except MultistageError as error:
        return "" if str(error) == reason else f"Its workers could not be ended: {error}"
    if str(stopped.state_file) in reason:  # which says how to go on, and with which changes
        return ""
    return f"{left[0].upper()}{left[1:]}. {_describe_resume(stopped)}"


def _read_state(run: FlowRun) -> SweepState | None:
    try:
        return _locate_folder(run).read_state()
    except MultistageError:  # what cannot be read, there is nothing to tell of
        return None


def _locate_folder(run: FlowRun) -> SweepFolder:
    return SweepFolder(locate_folder(fill_name(run.parameters, str(run.id))))


def _describe_resume(folder: SweepFolder) -> str:
    return f"Resume with: multistage-sweep --resume {shlex.quote(str(folder.state_file))}"

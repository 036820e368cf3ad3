"""Workers in containers on Modal."""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import modal
import modal.exception as refusals

from multistage.domain.resources import GRACE, Rates
from multistage.domain.workers import ModalWorker, WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.call_watch import CallWatch
from multistage.launchers.faults import explain_refusal
from multistage.launchers.modal_app import (
    FUNCTION,
    SECRET,
    SECRET_KEY,
    AppContent,
    build_app,
    cancel_worker,
    open_notes,
)
from multistage.options.modal import Resources

LONGEST_IDLE = 45.0
"""Seconds without a run after which a container leaves at the latest: with its own end it is gone within a minute."""
LONGEST_CALL = 86_400
"""Seconds; Modal's limit."""
AT_ONCE = 16
"""Requests to Modal at once."""
STOP_PATIENCE = 8.0
"""Seconds from a cancel, which lets the worker end in order, to the end of its container."""
MIB_A_GIB = 1024


class ModalLauncher:
    """Starts workers as calls on Modal; a ``Launcher``.

    Args:
        options: What each container has.
        contents: What the image may hold. The first that is deployed already is taken, else the first is deployed; none
            for a launcher that only watches and stops.
        base_url: The W&B server, as containers reach it.
        idle: Seconds without a run after which a worker leaves; at most 45.
        max_runs: Runs that one container trains; None for as many as there are.
        directory: Where trainings run, for a program of the user's own.
        rates: Prices.
    """

    def __init__(
        self,
        options: Resources,
        contents: Sequence[AppContent] = (),
        *,
        base_url: str = "",
        idle: float = LONGEST_IDLE,
        max_runs: int | None = None,
        directory: Path | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._options = options
        self._contents = contents
        self._base_url = base_url
        self._idle = min(idle, LONGEST_IDLE)
        self._max_runs = max_runs
        self._directory = directory
        self._rates = rates or Rates()
        self._watch = CallWatch()
        self._calls: dict[str, str] = {}
        """Calls of workers whose record does not name it yet, by worker id."""
        self._app = ""
        self._function: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self) -> None:
        """Nothing to do: an app is deployed for the first container, and not before it is known that one is needed."""

    def launch(self, sweep: str, count: int) -> Iterator[WorkerRecord]:
        """Start workers for a sweep.

        Each is given twice: before it is spawned, without its call, and after, with it. Whoever notes both finds every
        container again, whenever this process dies.

        Raises:
            LaunchError: The app cannot be deployed or called; the hint says what to do.
        """
        function = self._find_function()
        seconds = self._options.timeout + GRACE
        rate = self._rates.price(self._options)
        intents = [
            ModalWorker(
                worker_id=secrets.token_hex(8),
                app=self._app,
                sweep=sweep,
                seconds=seconds,
                rate=rate,
                launched_at=datetime.now(UTC),
            )
            for _ in range(count)
        ]
        yield from intents
        refusal: LaunchError | None = None
        with ThreadPoolExecutor(min(AT_ONCE, max(1, count))) as pool:
            for spawning in as_completed(pool.submit(self._spawn, function, intent) for intent in intents):
                try:
                    yield spawning.result()
                except LaunchError as error:  # the others may have been spawned, and must be noted
                    refusal = error
        if refusal is not None:
            raise refusal

    def is_alive(self, record: WorkerRecord) -> bool:
        """Whether the worker waits or works; also of another process's worker."""
        return self.inspect(record) is None

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """Say how a worker ended; None while it lives, or while Modal does not answer."""
        if not isinstance(record, ModalWorker):
            return WorkerEnd(fault="none")
        if record.end is not None:
            return record.end
        call_id = record.call_id or self._calls.get(record.worker_id)
        if call_id is None:
            try:
                call_id = self._watch.run(self._find_call(record))
            except (refusals.Error, OSError):
                return None
        if call_id is None:
            return WorkerEnd(fault="machine", reason="It was never spawned.")
        return self._watch.find_end(call_id, record.launched_at.timestamp())

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        """Cancel workers; each ends its training in order, or with its container. Takes 10 s at most.

        Raises:
            LaunchError: Modal cannot be reached.
        """
        mine = [record for record in records if isinstance(record, ModalWorker) and record.end is None]
        if not mine:
            return
        failures = self._watch.run(self._stop(mine))
        if failures:
            raise LaunchError(
                f"Workers on Modal cannot be stopped: {failures[0]}.",
                f"Stop them by hand: `modal app stop {mine[0].app}`.",
            ) from failures[0]

    def read_failure(self, run_id: str) -> str:
        """The last lines that a training printed; known once its worker has ended."""
        return self._watch.failures.get(run_id, "")

    def close(self) -> None:
        """Follow no call any more; the containers live on."""
        self._watch.close()

    def _find_function(self) -> Any:
        """Look the app of this code up, and deploy it where it is missing."""
        with self._lock:
            if self._function is not None:
                return self._function
            if not self._contents:
                raise LaunchError("This launcher was opened to stop workers, not to start them.")
            try:
                # A deployed app keeps its secret, so this is where one that is gone, or has lost its key, is found out.
                modal.Secret.from_name(SECRET, required_keys=[SECRET_KEY]).hydrate()
                base = self._find_deployed() or self._deploy()
            except (refusals.Error, OSError) as error:
                raise explain_refusal(error) from error
            options = self._options
            memory = int(options.memory * MIB_A_GIB)
            self._function = base.with_options(
                cpu=(options.cpu, options.cpu),  # Modal bills what is used above the request: the limit bounds it
                memory=(memory, memory),
                gpu=options.gpu,
                timeout=int(min(options.timeout + GRACE, LONGEST_CALL)),
                region=options.region,
                max_containers=options.max_containers,
            )
            return self._function

    def _find_deployed(self) -> "modal.Function[..., Any, Any] | None":
        for content in self._contents:
            self._app = content.name_app()
            try:
                return modal.Function.from_name(self._app, FUNCTION).hydrate()
            except refusals.NotFoundError:
                continue
        return None

    def _deploy(self) -> "modal.Function[..., Any, Any]":
        self._app = self._contents[0].name_app()
        build_app(self._contents[0]).deploy(name=self._app)
        return modal.Function.from_name(self._app, FUNCTION).hydrate()

    def _spawn(self, function: Any, intent: ModalWorker) -> ModalWorker:
        try:
            call = function.spawn(
                intent.worker_id,
                intent.sweep,
                base_url=self._base_url,
                idle=self._idle,
                seconds=float(self._options.timeout),
                memory=self._options.memory,
                max_runs=self._max_runs,
                directory=str(self._directory) if self._directory else None,
            )
        except (refusals.Error, OSError) as error:
            raise explain_refusal(error) from error
        self._calls[intent.worker_id] = call.object_id
        self._watch.follow([(call.object_id, intent.launched_at.timestamp())])
        return intent.model_copy(update={"call_id": call.object_id})

    async def _find_call(self, record: ModalWorker) -> str | None:
        """Find a worker's call; None where it was never spawned. One that starts later finds itself cancelled."""
        known = record.call_id or self._calls.get(record.worker_id)
        if known is None:
            known = await cancel_worker(open_notes(), record.worker_id)
            if known is not None:
                self._calls[record.worker_id] = known
        return known

    async def _stop(self, records: Sequence[ModalWorker]) -> list[Exception]:
        deadline = time.monotonic() + STOP_PATIENCE
        at_once = asyncio.Semaphore(AT_ONCE)
        calls: list[modal.FunctionCall[dict[str, Any]]] = []

        async def cancel(record: ModalWorker) -> None:
            async with at_once:
                call_id = await self._find_call(record)
                if call_id is not None:
                    call: modal.FunctionCall[dict[str, Any]] = modal.FunctionCall.from_id(call_id)
                    await call.cancel.aio()
                    calls.append(call)

        async def see_out(call: "modal.FunctionCall[dict[str, Any]]") -> None:
            async with at_once:
                try:
                    await call.get.aio(timeout=max(0.0, deadline - time.monotonic()))
                except TimeoutError:
                    await call.cancel.aio(terminate_containers=True)
                except Exception:  # a cancelled call ends with an error, whichever
                    return

        outcomes = await asyncio.gather(*(cancel(one) for one in records), return_exceptions=True)
        outcomes += await asyncio.gather(*(see_out(one) for one in calls), return_exceptions=True)
        failures = [one for one in outcomes if isinstance(one, Exception)]
        return [one for one in failures if not isinstance(one, refusals.NotFoundError)]

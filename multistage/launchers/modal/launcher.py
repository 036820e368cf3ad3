"""Starts, watches and ends workers in containers on Modal."""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import modal
import modal.exception as refusals

from multistage.domain.workers.worker_records import Fee, WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.base import Traits
from multistage.launchers.modal.app import (
    FUNCTION,
    SECRET,
    SECRET_KEY,
    AppContent,
    build_app,
    cancel_worker,
    open_notes,
)
from multistage.launchers.modal.call_watch import CallWatch
from multistage.launchers.modal.faults import explain_refusal, judge_training
from multistage.launchers.modal.prices import GRACE, Rates
from multistage.launchers.modal.records import NAME, ModalDetails, is_on_modal, name_call, read_call
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


TRAITS = Traits(
    title="Modal",
    costs_money=True,
    reaches_loopback=False,
    sees_files=False,
    needs_canary=True,
    can_keep=True,
    workers="containers",
)


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

    traits = TRAITS

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

    @property
    def fee(self) -> Fee:
        """What the next container is paid."""
        return Fee(rate=self._rates.price(self._options), seconds=self._options.timeout + GRACE)

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
        intents = [
            WorkerRecord(
                launcher=NAME,
                worker_id=secrets.token_hex(8),
                sweep=sweep,
                launched_at=datetime.now(UTC),
                is_started=False,
                fee=self.fee,
                details=ModalDetails(app=self._app).model_dump(mode="json"),
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

    def adopts(self, record: WorkerRecord) -> bool:
        """Whether a worker is one of Modal's; its resources may differ."""
        return is_on_modal(record)

    def is_alive(self, record: WorkerRecord) -> bool:
        """Whether the worker waits or works; also of another process's worker."""
        return self.inspect(record) is None

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """Say how a worker ended; None while it lives, or while Modal does not answer."""
        if not is_on_modal(record):
            return WorkerEnd(fault="none")
        if record.end is not None:
            return record.end
        call_id = self._recall(record)
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
        mine = [record for record in records if is_on_modal(record) and record.end is None]
        if not mine:
            return
        failures = self._watch.run(self._stop(mine))
        if failures:
            raise LaunchError(
                f"Workers on Modal cannot be stopped: {failures[0]}.",
                f"Stop them by hand: `modal app stop {read_call(mine[0]).app}`.",
            ) from failures[0]

    def explain_waiting(self, records: Sequence[WorkerRecord]) -> str:
        """Nothing: Modal does not say what waits."""
        return ""

    def read_failure(self, run_id: str) -> str:
        """The last lines that a training printed; known once its worker has ended."""
        return self._watch.failures.get(run_id, "")

    def read_last_words(self, record: WorkerRecord) -> str:
        """Nothing: what a container's worker printed last is the reason of its end."""
        return ""

    def name_log(self, record: WorkerRecord) -> str:
        """Modal's own command for a container's log."""
        return f"shown by `modal app logs {read_call(record).app}`"

    def judge_training(self, error: str) -> LaunchError | None:
        """Return a failure that trainings in all containers would share, such as a package that the image lacks."""
        return judge_training(error)

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

    def _spawn(self, function: Any, intent: WorkerRecord) -> WorkerRecord:
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
        return name_call(intent, call.object_id)

    def _recall(self, record: WorkerRecord) -> str | None:
        """Return a worker's call as far as its record, or this process, knows it."""
        return read_call(record).call_id or self._calls.get(record.worker_id)

    async def _find_call(self, record: WorkerRecord) -> str | None:
        """Find a worker's call; None where it was never spawned. One that starts later finds itself cancelled."""
        known = self._recall(record)
        if known is None:
            known = await cancel_worker(open_notes(), record.worker_id)
            if known is not None:
                self._calls[record.worker_id] = known
        return known

    async def _stop(self, records: Sequence[WorkerRecord]) -> list[Exception]:
        deadline = time.monotonic() + STOP_PATIENCE
        at_once = asyncio.Semaphore(AT_ONCE)
        calls: list[modal.FunctionCall[dict[str, Any]]] = []

        async def cancel(record: WorkerRecord) -> None:
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
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        return [failure for failure in failures if not isinstance(failure, refusals.NotFoundError)]

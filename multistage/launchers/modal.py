"""Workers in containers on Modal."""

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

from multistage.domain.resources import GRACE, Rates, Resources
from multistage.domain.workers import ModalWorker, WorkerEnd, WorkerRecord
from multistage.errors import LaunchError
from multistage.launchers.call_watch import CallWatch
from multistage.launchers.modal_app import (
    FUNCTION,
    SECRET,
    SECRET_KEY,
    AppContent,
    build_app,
    open_notes,
)

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
        content: What the image holds; None for a launcher that only watches and stops.
        base_url: The W&B server, as containers reach it.
        idle: Seconds without a run after which a worker leaves; at most 45.
        max_runs: Runs that one container trains; None for as many as there are.
        directory: Where trainings run, for a program of the user's own.
        rates: Prices.
    """

    def __init__(
        self,
        options: Resources,
        content: AppContent | None = None,
        *,
        base_url: str = "",
        idle: float = LONGEST_IDLE,
        max_runs: int | None = None,
        directory: Path | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._options = options
        self._content = content
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
        with ThreadPoolExecutor(min(AT_ONCE, max(1, count))) as pool:
            spawning = {pool.submit(self._spawn, function, intent): intent for intent in intents}
            for spawned in as_completed(spawning):
                yield spawned.result()

    def is_alive(self, record: WorkerRecord) -> bool:
        """Whether the worker waits or works; also of another process's worker."""
        return self.inspect(record) is None

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        """Say how a worker ended; None while it lives, or while Modal does not answer."""
        if not isinstance(record, ModalWorker):
            return WorkerEnd(fault="none")
        call_id = record.call_id or self._calls.get(record.worker_id)
        if call_id is None:
            call_id = self._adopt(record)
            if call_id is None:
                return WorkerEnd(fault="machine", reason="It was never spawned.")
        return self._watch.find_end(call_id, record.launched_at.timestamp())

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        """Cancel workers; each ends its training in order, or with its container. Takes 10 s at most.

        Raises:
            LaunchError: Modal cannot be reached.
        """
        mine = [record for record in records if isinstance(record, ModalWorker)]
        if not mine:
            return
        with ThreadPoolExecutor(min(AT_ONCE, len(mine))) as pool:
            for failure in [one for one in pool.map(self._stop, mine) if one is not None]:
                raise LaunchError(
                    f"Workers on Modal cannot be stopped: {failure}.",
                    f"Stop them by hand: `modal app stop {mine[0].app}`.",
                ) from failure

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
            if self._content is None:
                raise LaunchError("This launcher was opened to stop workers, not to start them.")
            self._app = self._content.name_app()
            try:
                try:
                    base = modal.Function.from_name(self._app, FUNCTION)
                    base.hydrate()
                except refusals.NotFoundError:
                    build_app(self._content).deploy(name=self._app)
                    base = modal.Function.from_name(self._app, FUNCTION)
                    base.hydrate()
            except refusals.Error as error:
                raise explain_refusal(error) from error
            options = self._options
            self._function = base.with_options(
                cpu=options.cpu,
                memory=int(options.memory * MIB_A_GIB),
                gpu=options.gpu,
                timeout=int(min(options.timeout + GRACE, LONGEST_CALL)),
                region=options.region,
                max_containers=options.max_containers,
            )
            return self._function

    def _spawn(self, function: Any, intent: ModalWorker) -> ModalWorker:
        try:
            call = function.spawn(
                intent.worker_id,
                intent.sweep,
                base_url=self._base_url,
                idle=self._idle,
                seconds=float(self._options.timeout),
                max_runs=self._max_runs,
                directory=str(self._directory) if self._directory else None,
            )
        except refusals.Error as error:
            raise explain_refusal(error) from error
        self._calls[intent.worker_id] = call.object_id
        self._watch.follow([(call.object_id, intent.launched_at.timestamp())])
        return intent.model_copy(update={"call_id": call.object_id})

    def _adopt(self, record: ModalWorker) -> str | None:
        """Find the call of a worker whose launcher died in between; one that starts later finds itself cancelled."""
        notes = open_notes()
        note = notes.get(record.worker_id) or {}
        call_id = note.get("call_id")
        if call_id is None:
            notes.put(record.worker_id, {**note, "cancelled": True})
            return None
        self._calls[record.worker_id] = call_id
        return str(call_id)

    def _stop(self, record: ModalWorker) -> Exception | None:
        try:
            call_id = record.call_id or self._calls.get(record.worker_id) or self._adopt(record)
            if call_id is None:
                return None
            call: modal.FunctionCall[dict[str, Any]] = modal.FunctionCall.from_id(call_id)
            call.cancel()
            if not self._wait_for_end(call):
                call.cancel(terminate_containers=True)
        except refusals.NotFoundError:
            return None
        except refusals.Error as error:
            return error
        return None

    @staticmethod
    def _wait_for_end(call: "modal.FunctionCall[dict[str, Any]]") -> bool:
        try:
            call.get(timeout=STOP_PATIENCE)
        except TimeoutError:
            return False
        except Exception:  # noqa: S110 - a cancelled call ends with an error, whichever
            pass
        return True


def explain_refusal(error: Exception) -> LaunchError:
    """Turn what Modal refused into a sentence and its remedy."""
    reason = " ".join(str(error).split())[:500] or type(error).__name__
    match error:
        case refusals.AuthError():
            return LaunchError(f"Modal refuses the token: {reason}.", "Make one with `modal token new`.")
        case _ if SECRET in reason:
            return LaunchError(
                f"Modal has no secret {SECRET!r} with {SECRET_KEY}: {reason}.",
                f"Make it with `modal secret create {SECRET} {SECRET_KEY}=...`; the key is at wandb.ai/authorize.",
            )
        case refusals.ImageBuildError():
            return LaunchError(f"Modal cannot build the image: {reason}.", "Mend the requirements that it names.")
        case _:
            return LaunchError(f"Modal does not start workers: {reason}.", "Look at https://status.modal.com.")


def fetch_rates() -> Rates:
    """Ask Modal for its prices; where it does not tell, the dated table stands.

    The names of its rates are not documented, so one is taken only where it names the resource and its value is within
    a factor of three of the table's, a second or an hour.
    """
    try:
        told = {key: float(value) for key, value in modal.Workspace.from_context().billing.rates().items()}
    except (refusals.Error, OSError, ValueError):
        return Rates()
    table = Rates()
    core = _find_rate(told, ("cpu",), table.core)
    gib = _find_rate(told, ("mem", "gib", "ram"), table.gib)
    gpus = {name: _find_rate(told, (name.lower().replace("-", ""),), price) for name, price in table.gpus.items()}
    if core is None or gib is None:
        return table
    found = {name: price for name, price in gpus.items() if price is not None}
    return Rates(
        core=core, gib=gib, gpus={**table.gpus, **found}, source=f"Modal's own rates of {time.strftime('%Y-%m-%d')}"
    )


def _find_rate(told: dict[str, float], words: Sequence[str], usual: float) -> float | None:
    for key, value in told.items():
        plain = "".join(letter for letter in key.lower() if letter.isalnum())
        if any(word in plain for word in words):
            for price in (value, value / 3600):
                if usual / 3 <= price <= usual * 3:
                    return price
    return None

"""Keeps a sweep's page up to date while the sweep is driven, in a thread of its own: no stage waits for its page."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from multistage.domain.live.digest import end_summary, summarize
from multistage.domain.live.sight import Sight
from multistage.domain.live.summary import LiveSummary
from multistage.domain.runs.slots import Slots
from multistage.domain.runs.vigilance import Intake
from multistage.domain.sweep.state import State
from multistage.driver.page_evidence import Look, PageEvidence
from multistage.errors import ServiceError
from multistage.report.links import link_project, link_sweep
from multistage.services.sweep_pages import SweepPage, find_sweep_page, open_sweep_page
from multistage.settings import Settings
from multistage.store.journal import Journal

HEARTBEAT = 10.0
"""Seconds without anything new after which the page is told that somebody still drives the sweep."""
SHORTEST = 1.0
"""Seconds between two summaries, at least."""
IDLE_SHARE = 20
"""So many times as long as the last summary took, none is made: at most a twentieth of a core."""
LAST_WORDS = 10.0
"""Seconds that the last summary may take."""
MOST_WARNINGS = 20

logger = logging.getLogger(__name__)


class WarningCatcher(logging.Handler):
    """Notes what the library warns of.

    Args:
        note: Takes a warning.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Note one, save what is wrong with the page itself."""
        if record.name != __name__:
            self._note(record.getMessage())


class PageKeeper:
    """Keeps a sweep's page up to date until it is closed. Trouble with the page is a warning, no more.

    Args:
        journal: The sweep's state.
        evidence: What is made of its runs; this thread's own.
        resume: The command that goes on with the sweep.
    """

    def __init__(self, journal: Journal, evidence: PageEvidence, resume: str) -> None:
        self._journal = journal
        self._evidence = evidence
        self._resume = resume
        self._since = datetime.now(UTC)
        self._look = Look()
        self._warnings: tuple[str, ...] = ()
        self._page: SweepPage | None = None
        self._trouble = ""
        """What went wrong last: each trouble is told once."""
        self._changed, self._closing = threading.Event(), threading.Event()
        self._catcher = WarningCatcher(self._note)
        self._thread = threading.Thread(target=self._keep, name="the sweep's page", daemon=True)

    def open(self) -> str:
        """Begin; returns the page's address, empty where there is none."""
        logging.getLogger("multistage").addHandler(self._catcher)
        address = self.find()
        self._thread.start()
        return address

    def find(self) -> str:
        """Find the page's server, as it may have come back elsewhere; returns the page's address, or nothing."""
        try:
            self._page = open_sweep_page(Settings(), self._journal.state.uid)
        except ServiceError as error:
            self._warn(f"{error.message} {error.hint}")
        return self._page.address if self._page else ""

    def touch(self) -> None:
        """Send the changed state to the page."""
        self._changed.set()

    def see(
        self,
        stage: int,
        slots: Slots,
        present: int | None = None,
        exhausted: bool = False,
        intake: Intake = "open",
    ) -> None:
        """Take in a look at a stage's runs.

        Args:
            stage: The stage.
            slots: Its slots, which may change afterwards.
            present: Workers that are there, where somebody has looked.
            exhausted: Whether no further worker can be paid.
            intake: Whether its sweep hands runs out.
        """
        runs = {**self._look.runs, stage: tuple(run for slot in slots.values() for run in slot.attempts)}
        evaluations = {**self._look.evaluations, stage: tuple(slots.list_evaluations())}
        look = Look(runs, evaluations, present, exhausted, intake)
        if look != self._look:
            self._look = look
            self.touch()

    def see_absence(self, reason: str) -> None:
        """Take in that the W&B server could not be asked."""
        self._look = self._look._replace(away=reason)
        self.touch()

    def close(self) -> None:
        """Send the last state, and end."""
        logging.getLogger("multistage").removeHandler(self._catcher)
        self._closing.set()
        self.touch()
        if self._thread.is_alive():
            self._thread.join(LAST_WORDS)

    def _note(self, warning: str) -> None:
        told = (*(one for one in self._warnings if one != warning), warning[:2000])
        self._warnings = told[-MOST_WARNINGS:]
        self.touch()

    def _keep(self) -> None:
        body = b""
        while True:
            changed = self._changed.wait(HEARTBEAT)
            self._changed.clear()  # before the next question, lest the last word be missed
            closing = self._closing.is_set()
            began = time.thread_time()
            try:
                if changed or not body:
                    body = self._sum_up(in_haste=closing).model_dump_json().encode()
                self._send(body)
            except Exception as error:
                # A sweep never ends for its page, whatever is wrong with it.
                self._warn(error.message if isinstance(error, ServiceError) else repr(error))
            if closing:
                return
            spent = time.thread_time() - began
            self._closing.wait(max(SHORTEST, IDLE_SHARE * spent))

    def _send(self, body: bytes) -> None:
        if self._page is None:
            self._page = open_sweep_page(Settings(), self._journal.state.uid)
        try:
            self._page.send(body)
            self._trouble = ""
        except ServiceError:
            self._page = None  # found, or started, anew the next time
            raise

    def _sum_up(self, in_haste: bool) -> LiveSummary:
        look, state = self._look, self._journal.state
        runs = look.list_runs()
        sight = Sight(
            runs=runs,
            curves=self._evidence.follow_curves(runs),
            reasons=self._evidence.find_reasons(runs),
            present=look.present,
            exhausted=look.exhausted,
            intake=look.intake,
            away=look.away,
            standing=self._evidence.judge(state, [] if in_haste else look.list_evaluations()),
            warnings=self._warnings,
            since=self._since,
            resume=self._resume,
            called=self._journal.folder.shell_path,
            links=_link_elsewhere(state),
            stage_links=_link_stages(state),
            run_base=_localize(state, link_project(state)),
        )
        return summarize(state, sight, datetime.now(UTC))

    def _warn(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            logger.warning("The sweep's page could not be brought up to date: %s", trouble)


def mark_ended(state: State) -> None:
    """Mark a sweep's page as no longer driven, from any process, where its driver could not.

    What goes wrong is warned of: whoever ends a sweep does so without its page, too.

    Args:
        state: The sweep's, as it was left.
    """
    try:
        page = find_sweep_page(Settings(), state.uid)
        last = page.read() if page else None
        if page and last and last.status != state.status:
            page.send(end_summary(last, state, datetime.now(UTC)).model_dump_json().encode())
    except ServiceError as error:
        logger.warning("The end of the sweep could not be shown on its page: %s", error.message)


def _link_elsewhere(state: State) -> dict[str, str]:
    site = "W&B" if state.settings.tracker == "wandb" else "its project"
    links = {site: _localize(state, link_project(state)), "Prefect": state.prefect_url}
    return {name: link for name, link in links.items() if link}


def _link_stages(state: State) -> dict[int, str]:
    sweeps = {record.stage: record.sweep_id for record in state.stages_completed}
    if state.current_stage is not None and state.current_stage.sweep_id is not None:
        sweeps[state.current_stage.stage] = state.current_stage.sweep_id
    links = {stage: _localize(state, link_sweep(state, sweep_id)) for stage, sweep_id in sweeps.items()}
    return {int(stage): link for stage, link in links.items() if link}


def _localize(state: State, link: str | None) -> str | None:
    """Leave out the address of the server that shows the page: a browser may reach it by another."""
    if link is None or state.settings.tracker != "embedded" or not state.tracker_url:
        return link
    return link.removeprefix(state.tracker_url.rstrip("/")) or None

"""The roster against a launcher in memory: the canary, the cost cap, a cloud that is away, and what is noted."""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from multistage.domain.runs.slots import RunPhase, RunRecord, Slot, SlotName, settle_slot
from multistage.domain.sweep.plan import RunOptions
from multistage.domain.workers.cost import Cost
from multistage.domain.workers.worker_records import Fee, WorkerEnd, WorkerRecord
from multistage.driver.roster import AWAY_PAUSE, LONGEST_AWAY, Roster
from multistage.driver.worker_fleet import REFUSED_PAUSE, SILENCE, WorkerFleet
from multistage.errors import CloudAwayError, LaunchError
from multistage.launchers.base import Traits
from multistage.launchers.modal.faults import judge_training
from multistage.launchers.modal.prices import GRACE, Rates
from multistage.launchers.modal.records import name_call, read_call
from multistage.options.modal import Resources
from multistage.store.journal import Journal
from multistage.store.sweep_folder import SweepFolder
from tests.states import make_state
from tests.workers import make_container

SWEEP = "local/digits/one"
LONGEST = Resources().timeout + GRACE
RATE = Rates().price(Resources())
PRICE = LONGEST * RATE
"""Dollars that one worker may cost."""


class MemoryLauncher:
    """Workers that live until their end is set."""

    traits = Traits(title="memory", costs_money=True, needs_canary=True)
    fee = Fee(rate=RATE, seconds=LONGEST)

    def __init__(self) -> None:
        self.ends: dict[str, WorkerEnd] = {}
        self.away = False
        self.refusal = ""
        self.refused = 0
        self.stopped: list[str] = []
        self._count = 0

    def prepare(self) -> None:
        return

    def launch(self, sweep: str, count: int) -> Iterable[WorkerRecord]:
        for _ in range(count):
            self._count += 1
            launched_at = datetime.now(UTC)
            intent = make_container(f"w{self._count}", None, self.fee, sweep=sweep, launched_at=launched_at)
            yield intent
            if self.refusal:
                self.refused += 1
                raise LaunchError(self.refusal)
            if self.away:
                raise CloudAwayError("Modal does not answer.")
            yield name_call(intent, f"fc-{self._count}")

    def is_alive(self, record: WorkerRecord) -> bool:
        return self.inspect(record) is None

    def inspect(self, record: WorkerRecord) -> WorkerEnd | None:
        if not record.is_started and not self.away:
            return WorkerEnd(fault="machine", reason="It was never spawned.")
        return self.ends.get(record.worker_id)

    def stop(self, records: Sequence[WorkerRecord]) -> None:
        self.stopped += [one.worker_id for one in records]

    def explain_waiting(self, records: Sequence[WorkerRecord]) -> str:  # noqa: ARG002
        return ""

    def read_failure(self, run_id: str) -> str:  # noqa: ARG002
        return ""

    def adopts(self, record: WorkerRecord) -> bool:
        return record.launcher == "modal"

    def read_last_words(self, record: WorkerRecord) -> str:  # noqa: ARG002
        return ""

    def name_log(self, record: WorkerRecord) -> str:  # noqa: ARG002
        return "nowhere"

    def judge_training(self, error: str) -> LaunchError | None:
        return judge_training(error)

    def close(self) -> None:
        return


@pytest.fixture
def launcher() -> MemoryLauncher:
    return MemoryLauncher()


def open_roster(
    tmp_path: Path, launcher: MemoryLauncher, workers: int = 4, max_cost: float | None = None, idle: float = 60.0
) -> Roster:
    folder = SweepFolder(tmp_path / "made")
    options = RunOptions(workers=workers, directory=tmp_path, launcher="modal", max_cost=max_cost, worker_idle=idle)
    folder.write_state(make_state(options=options, cost=Cost(rates=Rates().pack())))
    return Roster(Journal(folder), launcher)


def read_workers(tmp_path: Path) -> list[WorkerRecord]:
    return list(SweepFolder(tmp_path / "made").load_state().workers)


def make_slots(phase: RunPhase, error: str = "", logged: tuple[str, ...] = ()) -> dict[int, Slot]:
    run = RunRecord(
        run_id="r", name=SlotName(stage=1, index=0), phase=phase, config={"lr": 1.0}, error=error, logged=logged
    )
    return {0: settle_slot(0, [run])}


def test_the_fleet_follows_its_canary(tmp_path: Path, launcher: MemoryLauncher) -> None:
    roster = open_roster(tmp_path, launcher)
    assert len(roster.launch(SWEEP, 4)) == 1
    assert roster.launch(SWEEP, 4) == []
    roster.learn(make_slots("active"))
    assert roster.launch(SWEEP, 3) == []
    roster.learn(make_slots("active", logged=("score",)))
    assert len(roster.launch(SWEEP, 3)) == 3
    assert [read_call(one).call_id for one in read_workers(tmp_path)] == ["fc-1", "fc-2", "fc-3", "fc-4"]


def test_a_training_that_cannot_import_ends_the_sweep_at_its_canary(tmp_path: Path, launcher: MemoryLauncher) -> None:
    roster = open_roster(tmp_path, launcher)
    roster.learn(make_slots("failed", "ValueError: no good", logged=("error",)))
    with pytest.raises(LaunchError, match="No module named 'torch'"):
        roster.learn(make_slots("failed", "ModuleNotFoundError: No module named 'torch'", logged=("error",)))
    roster.learn(make_slots("active", logged=("score",)))
    roster.learn(make_slots("failed", "ModuleNotFoundError: No module named 'torch'"))


def test_nobody_is_started_who_could_pass_the_cap(tmp_path: Path, launcher: MemoryLauncher) -> None:
    roster = open_roster(tmp_path, launcher, max_cost=PRICE * 2.5)
    roster.learn(make_slots("active", logged=("score",)))
    fleet = WorkerFleet(roster, SWEEP)
    fleet.adjust(9, 0, progressed=True)
    assert len(read_workers(tmp_path)) == 2, "a third could pass the cap, with what is set aside for the two"
    launcher.ends["w1"] = WorkerEnd(fault="none", seconds=LONGEST / 4)
    fleet.adjust(9, 0, progressed=True)
    assert len(read_workers(tmp_path)) == 3, "what the first left over is free again"
    for worker in ("w2", "w3"):
        launcher.ends[worker] = WorkerEnd(fault="none", seconds=LONGEST)
    assert not fleet.exhausted
    fleet.adjust(9, 0, progressed=True)
    assert fleet.exhausted
    state = SweepFolder(tmp_path / "made").load_state()
    assert state.cost is not None
    assert state.cost.dollars == pytest.approx(PRICE * 2.25)


def test_a_cloud_that_is_away_is_borne(
    tmp_path: Path, launcher: MemoryLauncher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("multistage.driver.roster.time.monotonic", lambda: clock[0])
    roster = open_roster(tmp_path, launcher)
    launcher.away = True
    with pytest.raises(CloudAwayError):  # it has never answered: the user hears of it at once
        roster.launch(SWEEP, 4)
    launcher.away = False
    roster = open_roster(tmp_path, launcher)
    roster.launch(SWEEP, 1)
    roster.learn(make_slots("active", logged=("score",)))
    launcher.away = True
    with caplog.at_level(logging.WARNING):
        assert roster.launch(SWEEP, 2) == []
        clock[0] += 1
        noted = len(read_workers(tmp_path))
        assert roster.launch(SWEEP, 2) == []
        assert len(read_workers(tmp_path)) == noted, "it is not asked at every look"
    assert sum("does not answer" in record.message for record in caplog.records) == 1
    launcher.away = False
    clock[0] += AWAY_PAUSE
    assert len(roster.launch(SWEEP, 2)) == 2
    launcher.away = True
    gone_at = clock[0]
    while clock[0] <= gone_at + LONGEST_AWAY:
        clock[0] += AWAY_PAUSE
        assert roster.launch(SWEEP, 1) == []
    clock[0] += AWAY_PAUSE
    with pytest.raises(CloudAwayError):
        roster.launch(SWEEP, 1)


def test_an_end_is_noted_once_with_its_cause(
    tmp_path: Path, launcher: MemoryLauncher, caplog: pytest.LogCaptureFixture
) -> None:
    roster = open_roster(tmp_path, launcher)
    roster.launch(SWEEP, 1)
    launcher.ends["w1"] = WorkerEnd(fault="machine", reason="It ran out of time.", seconds=30)
    with caplog.at_level(logging.WARNING):
        assert roster.list_alive(SWEEP) == []
        assert roster.list_alive(SWEEP) == []
    assert [record.message for record in caplog.records] == ["Worker w1 was lost: It ran out of time."]
    (worker,) = read_workers(tmp_path)
    assert worker.end == launcher.ends["w1"]
    cost = SweepFolder(tmp_path / "made").load_state().cost
    assert cost is not None
    assert cost.dollars == pytest.approx(30 * RATE)
    assert cost.stages[0].seconds == pytest.approx(30)


def test_what_all_workers_share_ends_the_sweep(tmp_path: Path, launcher: MemoryLauncher) -> None:
    roster = open_roster(tmp_path, launcher)
    roster.launch(SWEEP, 1)
    launcher.ends["w1"] = WorkerEnd(fault="setup", reason="No module named 'x'")
    with pytest.raises(LaunchError, match="Workers cannot run: No module named 'x'"):
        roster.list_alive(SWEEP)


def test_workers_that_die_without_any_progress_are_not_replaced_for_ever(
    tmp_path: Path, launcher: MemoryLauncher
) -> None:
    roster = open_roster(tmp_path, launcher, workers=1)
    fleet = WorkerFleet(roster, SWEEP)
    for number in range(1, 4):
        fleet.adjust(5, 0, progressed=False)
        launcher.ends[f"w{number}"] = WorkerEnd(fault="machine", reason="lost", seconds=1)
    with pytest.raises(LaunchError, match="ended 3 times without progress in any run"):
        fleet.adjust(5, 0, progressed=False)
    assert len(read_workers(tmp_path)) == 3


def test_workers_that_find_no_run_are_not_taken_for_dying_until_the_server_has_noticed_a_loss(
    tmp_path: Path, launcher: MemoryLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("multistage.driver.worker_fleet.time.monotonic", lambda: clock[0])
    roster = open_roster(tmp_path, launcher, workers=1, idle=10.0)
    fleet = WorkerFleet(roster, SWEEP)
    for number in range(1, 4):
        fleet.adjust(1, 0, progressed=False)
        clock[0] += 13
        launcher.ends[f"w{number}"] = WorkerEnd(fault="none", seconds=13)
    while clock[0] < 1000 + SILENCE:
        fleet.adjust(1, 0, progressed=False)
        clock[0] += 13
    assert len(read_workers(tmp_path)) == 3, "more would find nothing either"
    with pytest.raises(LaunchError, match="ended 3 times without progress in any run"):
        fleet.adjust(1, 0, progressed=False)
    fleet.adjust(1, 0, progressed=True)
    assert len(read_workers(tmp_path)) == 4, "it was lost, and is queued again"


def test_a_worker_that_is_refused_beside_others_is_asked_for_later(
    tmp_path: Path, launcher: MemoryLauncher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("multistage.driver.worker_fleet.time.monotonic", lambda: clock[0])
    roster = open_roster(tmp_path, launcher, workers=3)
    roster.learn(make_slots("active", logged=("score",)))
    fleet = WorkerFleet(roster, SWEEP)
    fleet.adjust(5, 0, progressed=True)
    launcher.ends["w1"] = WorkerEnd(fault="machine", reason="lost", seconds=1)
    launcher.refusal = "Slurm refuses: Required partition not available (inactive or drain)."
    with caplog.at_level(logging.WARNING):
        roster.list_alive(SWEEP)
        caplog.clear()
        for _ in range(3):
            fleet.adjust(3, 2, progressed=False)
        assert launcher.refused == 1, "it is not asked at every look"
        clock[0] += REFUSED_PAUSE
        fleet.adjust(3, 2, progressed=False)
    assert launcher.refused == 2
    assert [record.message.partition(" Those that work")[0] for record in caplog.records] == [launcher.refusal]
    assert len(read_workers(tmp_path)) == 3, "what was refused leaves no record"
    launcher.refusal = ""
    clock[0] += REFUSED_PAUSE
    fleet.adjust(3, 2, progressed=False)
    assert len(roster.list_alive(SWEEP)) == 3
    for number in range(1, 10):
        launcher.ends[f"w{number}"] = WorkerEnd(fault="machine", reason="lost", seconds=1)
    launcher.refusal = "No hours are left."
    with pytest.raises(LaunchError, match="No hours are left"):
        fleet.adjust(3, 2, progressed=True)


def test_nobody_is_started_where_nothing_waits(tmp_path: Path, launcher: MemoryLauncher) -> None:
    roster = open_roster(tmp_path, launcher)
    roster.learn(make_slots("active", logged=("score",)))
    fleet = WorkerFleet(roster, SWEEP)
    fleet.adjust(2, 0, progressed=True)
    launcher.ends["w1"] = WorkerEnd(fault="machine", reason="lost", seconds=1)
    for _ in range(5):
        fleet.adjust(0, 2, progressed=False)
    assert len(read_workers(tmp_path)) == 2, "the server takes the run of w1 for one that trains"
    fleet.adjust(1, 1, progressed=True)
    fleet.adjust(1, 1, progressed=False)
    assert len(read_workers(tmp_path)) == 3, "it was lost, and waits again"


def test_a_failure_is_explained_by_the_line_that_tells_it(
    tmp_path: Path, launcher: MemoryLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "ValueError: lr is negative\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace."
    monkeypatch.setattr(launcher, "read_failure", lambda _: said)
    assert open_roster(tmp_path, launcher).explain_failure("abc") == "ValueError: lr is negative"

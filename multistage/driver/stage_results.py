"""What the stages of a sweep have found so far: their used slots, read from the tracker once."""

from collections.abc import Callable, Sequence

from multistage.domain.runs.results import Evaluation
from multistage.domain.runs.slots import Slots, count_attempts, settle_slots
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.sweep.plan import StageNumber, StagePlan
from multistage.domain.sweep.state import State
from multistage.store.sweep_folder import SweepFolder
from multistage.wandb_client.connection import Connection
from multistage.wandb_client.run_archive import RunArchive
from multistage.wandb_client.run_reader import RunReader
from multistage.wandb_client.slot_ledger import SlotLedger


class StageResults:
    """Reads the used slots of stages, and remembers those that this process has read or driven.

    Args:
        folder: The sweep's.
        read_state: Returns the sweep's state as it stands.
        connect: Returns the connection to its tracker, which may have moved since the last call.
        show: Is told of the slots of each stage that was read from the tracker.
    """

    def __init__(
        self,
        folder: SweepFolder,
        read_state: Callable[[], State],
        connect: Callable[[], Connection],
        show: Callable[[StageNumber, Slots], None],
    ) -> None:
        self._folder = folder
        self._read_state = read_state
        self._connect = connect
        self._show = show
        self._kept: dict[int, tuple[Evaluation, ...]] = {}

    def keep(self, stage: StageNumber, slots: Slots) -> None:
        """Remember the used slots of a stage that has ended."""
        self._kept[stage] = tuple(slots.list_evaluations())

    def read(self, stage: StagePlan, sweep_id: str) -> Sequence[Evaluation]:
        """Read the used slots of a stage's sweep.

        Raises:
            TrackerError: If the runs cannot be read.
        """
        if stage.stage not in self._kept:
            state = self._read_state()
            prior = [one.run_id for one in self.read_before(stage.stage)]
            archive = RunArchive(self._folder.locate_archive(sweep_id))
            ledger = self.open_ledger(sweep_id)
            reader = RunReader(self._connect(), sweep_id, state.settings, stage, prior, archive, ledger)
            reader.read()
            attempts = count_attempts(state.settings.proposer == "ours", state.options.resumable)
            self.keep(stage.stage, slots := settle_slots(reader.records.values(), attempts))
            self._show(stage.stage, slots)
        return self._kept[stage.stage]

    def read_before(self, stage: int) -> Sequence[Evaluation]:
        """Read the used slots of all stages before this one.

        Raises:
            TrackerError: If the runs cannot be read.
        """
        state = self._read_state()
        done = [record for record in state.stages_completed if record.stage < stage]
        return [
            evaluation for record in done for evaluation in self.read(state.plan[record.stage - 1], record.sweep_id)
        ]

    def list_prior_runs(self, stage: StagePlan, box: SearchSpace) -> Sequence[str]:
        """List the earlier stages' runs within a stage's box, for W&B's engine to learn from."""
        if self._read_state().settings.proposer == "ours" or stage.method != "bayes":
            return []
        earlier = self.read_before(stage.stage)
        return [one.run_id for one in earlier if one.outcome != "failed" and box.contains(one.config)]

    def open_ledger(self, sweep_id: str) -> SlotLedger | None:
        """Open what tells which run of a W&B sweep is which slot's; None where W&B's engine proposes the runs."""
        if self._read_state().settings.proposer != "ours":
            return None
        return SlotLedger(self._folder.locate_ledger(sweep_id))

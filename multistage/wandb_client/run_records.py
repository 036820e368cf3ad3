"""Runs as slots: W&B's runs turned into this project's records."""

from collections.abc import Collection, Mapping, Sequence

from wandb.apis.public.runs import Run

from multistage.domain.runs.metric import extract_value, parse_metric_value, read_logged_number, read_metric
from multistage.domain.runs.results import Config
from multistage.domain.runs.slots import FAULT_KEY, NOTE_KEY, RunRecord, SlotName, classify_run, parse_slot_name
from multistage.domain.space.layout import flatten_config
from multistage.domain.sweep.plan import StagePlan, SweepSettings
from multistage.wandb_client.run_fields import find_beginning, list_logged, parse_time
from multistage.wandb_client.slot_ledger import SlotEntry, SlotLedger


class RunInterpreter:
    """Turns the client's runs of one sweep into records of slots.

    A run is a slot's by its id, as the ledger has it. Where nothing is written down (W&B's engine proposed the run, or
    a release without a ledger enqueued it), its place, its display name or its config tells.

    Args:
        settings: The metric, its goal, and the names of the swept hyperparameters.
        stage: The stage, whose last runs may be finalists.
        prior_runs: Ids of earlier stages' runs, which a server may count among the sweep's.
        ledger: Which run is which slot's; None where W&B's engine proposes the runs.
        planned: Configs of the first slots, in their order.
    """

    def __init__(
        self,
        settings: SweepSettings,
        stage: StagePlan,
        prior_runs: Collection[str] = (),
        ledger: SlotLedger | None = None,
        planned: Sequence[Config] = (),
    ) -> None:
        self._settings = settings
        self._stage = stage
        self._how = parse_metric_value(settings.metric_value)
        self._prior_runs = frozenset(prior_runs)
        self._ledger = ledger
        self._planned = [] if ledger is not None and ledger.run_ids else list(planned)

    def interpret(self, run: Run, records: Mapping[str, RunRecord]) -> RunRecord | None:
        """Turn a run into a record; None for one that is no slot's, such as one started by hand.

        Args:
            run: As the client has it.
            records: Those of the sweep's other runs, by id.
        """
        entry = self._ledger.find(run.id) if self._ledger else None
        name = entry.slot if entry else self._name_slot(run, records)
        if name is None:
            return None
        summary = run.summary_metrics
        value = read_metric(summary, self._settings.metric, self._settings.goal)
        fault = str(summary.get(FAULT_KEY) or "")
        phase = classify_run(run.state, stop_requested=self._was_stopped(run.state, value), fault=fault)
        runtime = read_logged_number(summary.get("_runtime"))
        heartbeat_at = parse_time(run.heartbeat_at)
        return RunRecord(
            run_id=run.id,
            name=name,
            phase=phase,
            config=self.select_swept(entry.config) if entry else self.flatten(run),
            seed=entry.seed if entry else self._read_seed(run),
            value=self._read_value(run, value) if phase in ("finished", "stopped") else value,
            logged=list_logged(summary),
            error=" ".join(str(summary.get("error") or "").split())[:500],
            created_at=parse_time(run.created_at),
            began_at=find_beginning(summary, heartbeat_at, runtime),
            heartbeat_at=heartbeat_at,
            finalist=self._is_finalist(name),
            rows=run._attrs.get("historyLineCount") or 0,
            runtime=runtime,
            fault=fault,
            note=str(summary.get(NOTE_KEY) or ""),
        )

    def expect(self, entry: SlotEntry) -> RunRecord:
        """Return the record of a run that was enqueued, before the server's lists show it."""
        return RunRecord(
            run_id=entry.run_id or "",
            name=entry.slot,
            phase="queued",
            config=self.select_swept(entry.config),
            seed=entry.seed,
            finalist=self._is_finalist(entry.slot),
        )

    def flatten(self, run: Run) -> Config:
        """Read the swept hyperparameters out of a run's config."""
        return flatten_config(run.config, self._settings.space.names, self._settings.layout)

    def select_swept(self, config: Config) -> Config:
        """Take the swept hyperparameters out of what a run was enqueued with."""
        return {name: config[name] for name in self._settings.space.names if name in config}

    def _name_slot(self, run: Run, records: Mapping[str, RunRecord]) -> SlotName | None:
        """Return the slot of a run of which nothing is recorded.

        By its place among the runs that W&B's engine proposed; else by its display name, or its config where the script
        has overwritten that, as with sweeps of a release that wrote nothing down.
        """
        known = records.get(run.id)
        if self._settings.proposer == "ours":
            name = parse_slot_name(run.name or "")
            if name is not None:
                return None if self._ledger and self._ledger.has(name) else name
            return known.name if known else self._match_planned(run, records)
        if run.id in self._prior_runs or self._was_there_before(run):
            return None
        free = 1 + max((record.name.index for record in records.values()), default=-1)
        return known.name if known else SlotName(stage=self._stage.stage, index=free)

    def _match_planned(self, run: Run, records: Mapping[str, RunRecord]) -> SlotName | None:
        if not self._planned or (self._ledger and self._ledger.open_entry):
            return None
        taken = {record.name.index for record in records.values()}
        config = self.flatten(run)
        for index, planned in enumerate(self._planned):
            if index not in taken and planned == config:
                return SlotName(stage=self._stage.stage, index=index)
        return None

    def _read_seed(self, run: Run) -> int | None:
        parameter = self._settings.seed_parameter
        seed = run.config.get(parameter) if parameter else None
        return seed if isinstance(seed, int) else None

    def _is_finalist(self, name: SlotName) -> bool:
        return name.index >= self._stage.runs - self._stage.finalists

    def _was_there_before(self, run: Run) -> bool:
        """Distinguish a run of a sweep that was there before from those that came since."""
        adopted = self._settings.adopted
        if adopted is None or adopted.newest is None:
            return False
        created_at = parse_time(run.created_at)
        return created_at is not None and created_at <= adopted.newest

    def _was_stopped(self, state: str, value: float | None) -> bool:
        """Distinguish a run that early termination ended from one that the machine lost, as far as the state shows."""
        if self._settings.early_stop == "none" or (self._stage.stage == 1 and self._settings.definition is None):
            return False
        return state == "killed" or (state == "crashed" and value is not None and self._settings.proposer == "server")

    def _read_value(self, run: Run, last: float | None) -> float | None:
        metric, goal = self._settings.metric, self._settings.goal
        if self._how.kind == "last" or last is None:
            return last
        rows = [row[metric] for row in run.scan_history(keys=[metric])]
        return extract_value([float(value) for value in rows], last, self._how, goal)

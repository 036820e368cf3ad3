"""One W&B sweep as it is, in one stage: W&B's engine proposes, the workers train, the best config stands at the end."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from multistage.domain.sweep.state import State
from multistage.launchers.registry import list_launchers
from multistage.options.catalogue import SINGLE_GROUPS
from multistage.options.parameters import take_options
from multistage.pipeline.flows.stage import sweep_stage
from multistage.pipeline.tasks.endings import end_in_words, stop_workers
from multistage.pipeline.tasks.records import publish_report
from multistage.pipeline.tasks.sweeps import brief_stage, open_sweep
from multistage.search.registry import list_searches


@flow(
    name="single-sweep",
    description=(
        "Runs one W&B sweep as it is, with as many runs as were asked for.\n\nA run's **logs** say what is best so "
        "far and what was lost; its **artifacts** show the progress and the best configs. Cancel it, and its trainings "
        "end; `multistage-sweep resume NAME` continues the sweep."
    ),
    flow_run_name="{name}",
    persist_result=True,
    result_serializer="json",
    on_failure=[stop_workers],
    on_cancellation=[stop_workers],
    on_crashed=[stop_workers],
    validate_parameters=False,  # `open_sweep` does, in a sentence
)
@end_in_words
@take_options(
    SINGLE_GROUPS,
    needed=("name", "config_id", "count"),
    known={"launcher": list_launchers(), "search": list_searches()},
)
def single_sweep(**parameters: Any) -> State:
    """Run one W&B sweep with as many runs as were asked for.

    Needs no service from outside: the embedded W&B server and the workers are started here, on this machine.
    """
    with open_sweep(flow_run.parameters) as session:
        stage = sweep_stage.with_options(result_storage=session.folder.results)
        stage(session.folder.name, 1, brief_stage(session, 1))
        return publish_report(session.folder.path)

"""The parent flow: three narrowing stages, then the result."""

from typing import Any

from prefect import flow, tags
from prefect.runtime import flow_run

from multistage.domain.sweep.plan import STAGES
from multistage.domain.sweep.state import State
from multistage.launchers.registry import list_launchers
from multistage.options.catalogue import GROUPS
from multistage.options.parameters import take_options
from multistage.pipeline.flows.stage import sweep_stage
from multistage.pipeline.tasks.approval import await_approval
from multistage.pipeline.tasks.endings import end_in_words, stop_workers
from multistage.pipeline.tasks.records import publish_report
from multistage.pipeline.tasks.sweeps import brief_stage, open_sweep
from multistage.search.registry import list_searches


@flow(
    name="multistage-sweep",
    description=(
        "Finds good hyperparameters in three stages of training runs, each a subflow that narrows the ranges for the "
        "next.\n\nA run's **logs** say what the stages find, what is best so far, what was lost and how to go on; its "
        "**artifacts** show the plan, the progress, the best configs and the result. Cancel it, and its trainings end; "
        "`multistage-sweep resume NAME` continues the sweep."
    ),
    flow_run_name="{config_id}",
    persist_result=True,
    result_serializer="json",
    on_failure=[stop_workers],
    on_cancellation=[stop_workers],
    on_crashed=[stop_workers],
    validate_parameters=False,  # `open_sweep` does, in a sentence
)
@end_in_words
@take_options(GROUPS, needed=("config_id",), known={"launcher": list_launchers(), "search": list_searches()})
def multistage_sweep(**parameters: Any) -> State:
    """Find good hyperparameters in three stages of training runs.

    What is not given comes from ``MULTISTAGE_*`` variables and the ``multistage.toml`` of the folder in which this
    runs, else from the defaults. What is taken up goes on as it began.

    Needs no service from outside: the embedded W&B server and the workers are started here, on this machine.
    """
    with open_sweep(flow_run.parameters) as session:
        for number in STAGES:
            await_approval(session, number)
            stage = sweep_stage.with_options(result_storage=session.folder.results)
            with tags(f"stage {number}"):
                stage(session.folder.name, number, brief_stage(session, number))
        return publish_report(session.folder.path)

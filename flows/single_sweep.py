"""One W&B sweep as it is, in one stage: W&B's engine proposes, the workers train, the best config stands at the end."""

from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.stage import sweep_stage
from multistage.domain.resources import Resources
from multistage.domain.state import State
from tasks.records import publish_report
from tasks.sweeps import brief_stage, open_sweep
from tasks.workers import stop_workers


@flow(
    name="single-sweep",
    flow_run_name="{name}",
    persist_result=True,
    result_serializer="json",
    on_failure=[stop_workers],
    on_cancellation=[stop_workers],
    on_crashed=[stop_workers],
)
def single_sweep(
    name: Annotated[str, Field(description="The sweep's name and folder.")],
    config_id: Annotated[str, Field(description="What it trains, such as CartPole-v1:ppo; a label.")],
    count: Annotated[int, Field(ge=1, description="Training runs.")],
    sweep_file: Annotated[dict[str, Any] | None, Field(description="A W&B sweep's config; it is created.")] = None,
    sweep_id: Annotated[str | None, Field(description="A sweep that is there: ENTITY/PROJECT/ID, or ID.")] = None,
    metric: Annotated[str | None, Field(description="Logged key to optimize; the sweep's own by default.")] = None,
    goal: Annotated[Literal["maximize", "minimize"] | None, Field(description="The sweep's own by default.")] = None,
    metric_value: Annotated[str | None, Field(description="A run's value: last (by default), best or mean:N.")] = None,
    entity: Annotated[str | None, Field(description="W&B user or team.")] = None,
    project: Annotated[str | None, Field(description="W&B project; the sweep's own by default.")] = None,
    workers: Annotated[int | None, Field(ge=1, description="Workers at once; the cores by default.")] = None,
    tracker: Annotated[Literal["auto", "embedded", "wandb"] | None, Field(description="The W&B server.")] = None,
    launcher: Annotated[Literal["local", "modal"] | None, Field(description="Where trainings run.")] = None,
    runs_per_worker: Annotated[int | None, Field(ge=1, description="On Modal: runs that a container trains.")] = None,
    keep_workers: Annotated[bool, Field(description="On Modal: an interrupted sweep's containers go on.")] = False,
    max_cost: Annotated[float | None, Field(gt=0, description="On Modal: dollars that are never passed.")] = None,
    project_dir: Annotated[Path | None, Field(description="On Modal: your project.")] = None,
    image_python: Annotated[str | None, Field(description="On Modal: the containers' Python.")] = None,
    modal: Annotated[Resources | None, Field(description="On Modal: what each container has.")] = None,
    worker_idle: Annotated[
        float | None, Field(gt=0, description="Seconds without work before a worker leaves.")
    ] = None,
    stall_after: Annotated[float | None, Field(gt=0, description="Seconds without a row before a run is lost.")] = None,
    stage_deadline: Annotated[float | None, Field(gt=0, description="Seconds before the sweep ends early.")] = None,
    runs_dir: Annotated[Path | None, Field(description="Where the sweeps' folders lie; runs by default.")] = None,
    settings: Annotated[Path | None, Field(description="A settings file; multistage.toml here by default.")] = None,
    resume: Annotated[bool, Field(description="Go on with the sweep that the folder holds.")] = False,
) -> State:
    """Run one W&B sweep with as many runs as were asked for.

    Needs no service from outside: the embedded W&B server and the workers are started here, on this machine.
    """
    with open_sweep(flow_run.parameters) as session:
        stage = sweep_stage.with_options(result_storage=session.folder.results)
        stage(session.folder.name, 1, brief_stage(session, 1))
        return publish_report(session.folder.path)

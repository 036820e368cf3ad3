"""One W&B sweep as it is, in one stage: W&B's engine proposes, the workers train, the best config stands at the end."""

from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from multistage.domain.resources import Resources
from multistage.domain.state import State
from multistage.pipeline.flows.stage import sweep_stage
from multistage.pipeline.tasks.records import publish_report
from multistage.pipeline.tasks.sweeps import brief_stage, open_sweep
from multistage.pipeline.tasks.workers import stop_workers


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
    name: str,
    config_id: str,
    count: Annotated[int, Field(ge=1)],
    sweep_file: dict[str, Any] | None = None,
    sweep_id: str | None = None,
    metric: str | None = None,
    goal: Literal["maximize", "minimize"] | None = None,
    metric_value: str | None = None,
    entity: str | None = None,
    project: str | None = None,
    workers: Annotated[int | None, Field(ge=1)] = None,
    tracker: Literal["auto", "embedded", "wandb"] | None = None,
    launcher: Literal["local", "modal"] | None = None,
    python: Path | None = None,
    gpus_per_run: Annotated[float | None, Field(ge=0)] = None,
    runs_per_worker: Annotated[int | None, Field(ge=1)] = None,
    keep_workers: bool = False,
    max_cost: Annotated[float | None, Field(gt=0)] = None,
    project_dir: Path | None = None,
    image_python: str | None = None,
    modal: Resources | None = None,
    worker_idle: Annotated[float | None, Field(gt=0)] = None,
    stall_after: Annotated[float | None, Field(gt=0)] = None,
    stage_deadline: Annotated[float | None, Field(gt=0)] = None,
    runs_dir: Path | None = None,
    settings: Path | None = None,
    resume: bool = False,
) -> State:
    """Run one W&B sweep with as many runs as were asked for.

    Needs no service from outside: the embedded W&B server and the workers are started here, on this machine.

    Args:
        name: The sweep's name and folder.
        config_id: What it trains, such as CartPole-v1:ppo; a label.
        count: Training runs.
        sweep_file: A W&B sweep's config; it is created.
        sweep_id: A sweep that is there: ENTITY/PROJECT/ID, or ID.
        metric: Logged key to optimize; the sweep's own by default.
        goal: Maximize it or minimize it; the sweep's own by default.
        metric_value: A run's value: last (by default), best or mean:N.
        entity: W&B user or team.
        project: W&B project; the sweep's own by default.
        workers: Workers at once; the cores, or GPUs, by default.
        tracker: The W&B server; auto by default.
        launcher: Where trainings run; local by default.
        python: The trainings' interpreter; this one by default.
        gpus_per_run: Here: 2 takes two, 0.5 shares one, 0 none.
        runs_per_worker: On Modal: runs that a container trains.
        keep_workers: On Modal: an interrupted sweep's containers go on.
        max_cost: On Modal: dollars that are never passed.
        project_dir: On Modal: your project.
        image_python: On Modal: the containers' Python.
        modal: On Modal: what each container has.
        worker_idle: Seconds without work before a worker leaves; 60 by default.
        stall_after: Seconds without a row before a run is lost.
        stage_deadline: Seconds before the sweep ends early.
        runs_dir: Where the sweeps' folders lie; runs by default.
        settings: A settings file; multistage.toml here by default.
        resume: Go on with the sweep that the folder holds.
    """
    with open_sweep(flow_run.parameters) as session:
        stage = sweep_stage.with_options(result_storage=session.folder.results)
        stage(session.folder.name, 1, brief_stage(session, 1))
        return publish_report(session.folder.path)

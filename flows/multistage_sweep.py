"""The parent flow: three narrowing stages, then the result."""

from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow, tags
from prefect.runtime import flow_run
from pydantic import Field

from flows.stage import sweep_stage
from multistage.domain.plan import STAGES
from multistage.domain.resources import Resources
from multistage.domain.state import State
from tasks.approval import await_approval
from tasks.records import publish_report
from tasks.sweeps import brief_stage, open_sweep
from tasks.workers import stop_workers


@flow(
    name="multistage-sweep",
    flow_run_name="{config_id}",
    persist_result=True,
    result_serializer="json",
    on_failure=[stop_workers],
    on_cancellation=[stop_workers],
    on_crashed=[stop_workers],
)
def multistage_sweep(
    config_id: Annotated[str, Field(description="What to train, such as CartPole-v1:ppo.")],
    params: Annotated[
        str | None, Field(description="Swept hyperparameters: name, name:min-max, name:log:min-max, ...")
    ] = None,
    sweep_file: Annotated[dict[str, Any] | None, Field(description="A W&B sweep's config, instead of params.")] = None,
    budget: Annotated[int | None, Field(ge=10, description="Training runs in all; 500 by default.")] = None,
    metric: Annotated[str | None, Field(description="Logged key to optimize; the trainer's own by default.")] = None,
    goal: Annotated[Literal["maximize", "minimize"] | None, Field(description="The trainer's own by default.")] = None,
    metric_value: Annotated[str | None, Field(description="A run's value: last (by default), best or mean:N.")] = None,
    entity: Annotated[str | None, Field(description="W&B user or team.")] = None,
    project: Annotated[str | None, Field(description="W&B project; the config id up to its colon by default.")] = None,
    name: Annotated[str | None, Field(description="The sweep's name and folder.")] = None,
    workers: Annotated[int | None, Field(ge=1, description="Workers at once; the cores by default.")] = None,
    tracker: Annotated[Literal["auto", "embedded", "wandb"] | None, Field(description="The W&B server.")] = None,
    search: Annotated[Literal["auto", "gp", "wandb"] | None, Field(description="Who proposes the configs.")] = None,
    early_stop: Annotated[Literal["auto", "hyperband", "none"] | None, Field(description="Stop poor runs?")] = None,
    program: Annotated[str | None, Field(description="Your own training script.")] = None,
    command: Annotated[str | None, Field(description="W&B's command, with its macros and ${config_id}.")] = None,
    split: Annotated[str | None, Field(description="Percent of the budget a stage; 30/50/20 by default.")] = None,
    stage1: Annotated[Literal["auto", "grid", "sobol"] | None, Field(description="How stage 1 explores.")] = None,
    grid_resolution: Annotated[int | None, Field(ge=2, le=100, description="Grid values a parameter.")] = None,
    finalists: Annotated[
        str | None, Field(description="Contenders trained again: auto, a number, a percentage.")
    ] = None,
    seed: Annotated[int | None, Field(ge=0, description="Makes search and trainings reproducible.")] = None,
    seed_param: Annotated[str | None, Field(description="What your program takes each run's seed as.")] = None,
    baseline: Annotated[list[str] | None, Field(description="Your program's usual key=value settings.")] = None,
    train_arg: Annotated[list[str] | None, Field(description="Fixed key=value settings of every run.")] = None,
    launcher: Annotated[Literal["local", "modal"] | None, Field(description="Where trainings run.")] = None,
    runs_per_worker: Annotated[int | None, Field(ge=1, description="On Modal: runs that a container trains.")] = None,
    keep_workers: Annotated[
        bool | None, Field(description="On Modal: an interrupted sweep's containers go on.")
    ] = None,
    max_cost: Annotated[float | None, Field(gt=0, description="On Modal: dollars that are never passed.")] = None,
    project_dir: Annotated[Path | None, Field(description="On Modal: your project.")] = None,
    image_python: Annotated[str | None, Field(description="On Modal: the containers' Python.")] = None,
    modal: Annotated[Resources | None, Field(description="On Modal: what each container has.")] = None,
    worker_idle: Annotated[
        float | None, Field(gt=0, description="Seconds without work before a worker leaves.")
    ] = None,
    stall_after: Annotated[float | None, Field(gt=0, description="Seconds without a row before a run is lost.")] = None,
    stage_deadline: Annotated[float | None, Field(gt=0, description="Seconds before a stage ends early.")] = None,
    approve: Annotated[bool | None, Field(description="Ask a person between two stages?")] = None,
    approve_timeout: Annotated[float | None, Field(gt=0, description="Seconds they have; no end by default.")] = None,
    on_timeout: Annotated[Literal["continue", "stop"] | None, Field(description="When nobody answers.")] = None,
    runs_dir: Annotated[Path | None, Field(description="Where the sweeps' folders lie; runs by default.")] = None,
    settings: Annotated[Path | None, Field(description="A settings file; multistage.toml here by default.")] = None,
    resume: Annotated[bool, Field(description="Go on with the sweep that the folder holds.")] = False,
) -> State:
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

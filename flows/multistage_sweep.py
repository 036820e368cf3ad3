"""The parent flow: three narrowing stages, then the result."""

from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow, tags
from prefect.runtime import flow_run
from pydantic import Field

from multistage.domain.plan import STAGES
from multistage.domain.resources import Resources
from multistage.domain.state import State
from multistage.pipeline.flows.stage import sweep_stage
from multistage.pipeline.tasks.approval import await_approval
from multistage.pipeline.tasks.records import publish_report
from multistage.pipeline.tasks.sweeps import brief_stage, open_sweep
from multistage.pipeline.tasks.workers import stop_workers


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
    config_id: str,
    params: str | None = None,
    sweep_file: dict[str, Any] | None = None,
    budget: Annotated[int | None, Field(ge=10)] = None,
    metric: str | None = None,
    goal: Literal["maximize", "minimize"] | None = None,
    metric_value: str | None = None,
    entity: str | None = None,
    project: str | None = None,
    name: str | None = None,
    workers: Annotated[int | None, Field(ge=1)] = None,
    tracker: Literal["auto", "embedded", "wandb"] | None = None,
    search: str | None = None,
    early_stop: Literal["auto", "hyperband", "none"] | None = None,
    program: str | None = None,
    command: str | None = None,
    style: str | None = None,
    split: str | None = None,
    stage1: Literal["auto", "grid", "sobol"] | None = None,
    grid_resolution: Annotated[int | None, Field(ge=2, le=100)] = None,
    finalists: str | None = None,
    seed: Annotated[int | None, Field(ge=0)] = None,
    seed_param: str | None = None,
    baseline: list[str] | None = None,
    train_arg: list[str] | None = None,
    launcher: Literal["local", "modal"] | None = None,
    python: Path | None = None,
    gpus_per_run: Annotated[float | None, Field(ge=0)] = None,
    runs_per_worker: Annotated[int | None, Field(ge=1)] = None,
    keep_workers: bool | None = None,
    max_cost: Annotated[float | None, Field(gt=0)] = None,
    project_dir: Path | None = None,
    image_python: str | None = None,
    modal: Resources | None = None,
    worker_idle: Annotated[float | None, Field(gt=0)] = None,
    stall_after: Annotated[float | None, Field(gt=0)] = None,
    stage_deadline: Annotated[float | None, Field(gt=0)] = None,
    approve: bool | None = None,
    approve_timeout: Annotated[float | None, Field(gt=0)] = None,
    on_timeout: Literal["continue", "stop"] | None = None,
    runs_dir: Path | None = None,
    settings: Path | None = None,
    resume: bool = False,
) -> State:
    """Find good hyperparameters in three stages of training runs.

    What is not given comes from ``MULTISTAGE_*`` variables and the ``multistage.toml`` of the folder in which this
    runs, else from the defaults. What is taken up goes on as it began.

    Needs no service from outside: the embedded W&B server and the workers are started here, on this machine.

    Args:
        config_id: What to train, such as CartPole-v1:ppo.
        params: Swept hyperparameters: name, name:min-max, name:log:min-max, ...
        sweep_file: A W&B sweep's config, instead of params.
        budget: Training runs in all; 500 by default.
        metric: Logged key to optimize; the trainer's own by default.
        goal: Maximize it or minimize it; the trainer's own by default.
        metric_value: A run's value: last (by default), best or mean:N.
        entity: W&B user or team.
        project: W&B project; the config id up to its colon by default.
        name: The sweep's name and folder.
        workers: Workers at once; the cores, or GPUs, by default.
        tracker: The W&B server; auto by default.
        search: Who proposes: auto (by default), gp, wandb, optuna:tpe, ...
        early_stop: Whether poor runs are stopped; auto by default.
        program: Your own training script; name its metric, too.
        command: W&B's command, with its macros and ${config_id}.
        style: How your program takes parameters: flags, hydra, ...
        split: Percent of the budget a stage; 30/50/20 by default.
        stage1: How stage 1 explores; auto by default.
        grid_resolution: Grid values a parameter; 5 by default.
        finalists: Contenders trained again: auto (by default), a number, a percentage.
        seed: Makes search and trainings reproducible; 0 by default.
        seed_param: What your program takes each run's seed as.
        baseline: Your program's usual key=value settings.
        train_arg: Fixed key=value settings of every run.
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
        stage_deadline: Seconds before a stage ends early.
        approve: Ask a person between two stages? No by default.
        approve_timeout: Seconds they have; no end by default.
        on_timeout: When nobody answers; continue by default.
        runs_dir: Where the sweeps' folders lie; runs by default.
        settings: A settings file; multistage.toml here by default.
        resume: Go on with the sweep that the folder holds.
    """
    with open_sweep(flow_run.parameters) as session:
        for number in STAGES:
            await_approval(session, number)
            stage = sweep_stage.with_options(result_storage=session.folder.results)
            with tags(f"stage {number}"):
                stage(session.folder.name, number, brief_stage(session, number))
        return publish_report(session.folder.path)

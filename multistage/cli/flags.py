"""The flags of a sweep, and the flow's parameters that they become."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from multistage.errors import UsageError

if TYPE_CHECKING:
    from multistage.request.preferences import GatheredParameters


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SearchFlags:
    """What is searched, and how, in three stages."""

    params: str | None = None
    """Swept hyperparameters, such as policy_lr,clip_range:0.1-0.3: name, name:min-max, name:log:min-max,
    name:int:min-max, name:[a|b|c]."""
    sweep_file: Path | None = None
    """A W&B sweep file: its parameters, metric, goal, program, command and early_terminate, instead of --params."""
    budget: int | None = None
    """Training runs in all. [default: 500]"""
    search: str | None = None
    """Who proposes: gp (this project's Gaussian process), wandb (W&B's own engine), random, sobol, optuna:tpe, or an
    installed package's searcher; auto takes the first where it can be. [default: auto]"""
    early_stop: Literal["auto", "hyperband", "none"] | None = None
    """Whether poor runs of stages 2 and 3 are stopped; auto does with --search wandb. [default: auto]"""
    program: str | None = None
    """Your own training script, or a module as Python finds it, run as W&B's agent would; the config id is then a
    label."""
    command: str | None = None
    """Another command than W&B's '${env} ${interpreter} ${program} ${args}'; ${config_id} is replaced too."""
    style: str | None = None
    """How your program takes its parameters, instead of a --command: argparse, flags, switches, hyphens, hyphen-flags,
    hyphen-switches, hydra, configurator, lightning, json, json-file, config or guide. [default: argparse]"""
    split: str | None = None
    """Percent of the budget a stage. [default: 30/50/20]"""
    stage1: Literal["auto", "grid", "sobol"] | None = None
    """How stage 1 explores; auto takes the grid where it fits, filled up with Sobol points. [default: auto]"""
    grid_resolution: int | None = None
    """Values a parameter on the grid. [default: 5]"""
    finalists: str | None = None
    """Runs that train contenders again on fresh seeds: auto, a number or a percentage. [default: auto]"""
    seed: int | None = None
    """Makes the search and the trainings reproducible. [default: 0]"""
    seed_param: str | None = None
    """Hyperparameter of your own program that takes each run's seed."""
    baseline: Annotated[tuple[str, ...] | None, Parameter(negative=())] = None
    """Your own program's usual key=value of a swept hyperparameter, which races the contenders; may be given several
    times."""
    train_arg: Annotated[tuple[str, ...] | None, Parameter(negative=())] = None
    """A fixed key=value of every run; may be given several times."""
    approve: bool | None = None
    """Ask you between two stages, in the Prefect UI or by `multistage-sweep approve NAME`. [default: no]"""
    approve_timeout: float | None = None
    """Seconds that you have for it. [default: as long as it takes]"""
    on_timeout: Literal["continue", "stop"] | None = None
    """What happens when nobody answers in time. [default: continue]"""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunFlags:
    """What is optimized, where the runs are kept and how they are trained."""

    metric: str | None = None
    """Logged key to optimize, which a program of your own needs. [default: the trainer's own]"""
    goal: Literal["maximize", "minimize"] | None = None
    """Which way is better. [default: the trainer's own, else maximize]"""
    metric_value: str | None = None
    """A run's value: last, best or mean:N of the logged ones. [default: last]"""
    entity: str | None = None
    """W&B user or team. [default: WANDB_ENTITY, else local]"""
    project: str | None = None
    """W&B project. [default: WANDB_PROJECT, else the config id up to its colon]"""
    name: str | None = None
    """The sweep's name and folder. [default: multistage_sweep_ and the config id]"""
    workers: int | None = None
    """Trainings at once. [default: the cores, or fewer where the GPUs do not suffice; on Modal 8]"""
    gpus_per_run: float | None = None
    """GPUs of one training on this machine: 2 takes two, 0.5 lets two trainings share one, 0 leaves them alone.
    [default: all are dealt out among the workers]"""
    launcher: Literal["local", "modal"] | None = None
    """Where trainings run. [default: local]"""
    python: Path | None = None
    """Interpreter of trainings on this machine, or its environment's folder. [default: this one]"""
    runs_per_worker: int | None = None
    """On Modal, runs that one container trains. [default: as many as there are]"""
    keep_workers: Annotated[bool | None, Parameter(negative=())] = None
    """On Modal, containers go on when the sweep is interrupted or cancelled; a resume takes them up."""
    max_cost: float | None = None
    """On Modal, dollars that are never passed; the sweep ends early instead."""
    modal_cpu: float | None = None
    """Cores of a container. [default: 2]"""
    modal_memory: float | None = None
    """GiB of a container. [default: 4]"""
    modal_gpu: str | None = None
    """GPU of a container, such as T4 or H100:2."""
    modal_timeout: int | None = None
    """Seconds that a container may live; a run must fit into them. [default: 3600]"""
    modal_region: str | None = None
    """Where containers run, such as us-east. [default: anywhere, which costs least]"""
    modal_max_containers: int | None = None
    """Containers at once, whatever --workers says."""
    project_dir: Path | None = None
    """On Modal, your project: its requirements are installed and its files are there. Needed for a --program."""
    image_python: str | None = None
    """On Modal, the containers' Python, such as 3.12. [default: this one]"""
    tracker: Literal["auto", "embedded", "wandb"] | None = None
    """The W&B server; auto takes W&B where the client is logged in, else the embedded one. [default: auto]"""
    worker_idle: float | None = None
    """Seconds without work after which a worker leaves. [default: 60]"""
    stall_after: float | None = None
    """Seconds without a new row after which a run is stopped and trained again. [default: three times the longest run
    so far, at least 1800]"""
    stage_deadline: float | None = None
    """Seconds after which a stage ends with the runs that it has. [default: none]"""
    runs_dir: Path | None = None
    """Where the sweeps' folders lie. [default: runs]"""
    settings: Path | None = None
    """A settings file. [default: MULTISTAGE_SETTINGS, else multistage.toml in the current folder]"""

    def list_given(self) -> dict[str, Any]:
        """Give the flags that were given, by the name of the flow's parameter."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: value for name, value in values.items() if value is not None}
        modal = {name[6:]: given.pop(name) for name in list(given) if name.startswith("modal_")}
        for name in ("project_dir", "python", "runs_dir", "settings"):
            if name in given:
                given[name] = given[name].absolute()
        return {**given, "modal": modal} if modal else given


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SweepFlags(RunFlags, SearchFlags):
    """The flags of a sweep. One that is not given leaves the default, or on a resume what the sweep began with."""


NO_FLAGS = SweepFlags()


def collect_parameters(config_id: str | None, flags: SweepFlags, resume: str | None) -> "GatheredParameters":
    """Give the parent flow's parameters: what was asked for, or what the resumed sweep began with."""
    from multistage.request.preferences import GatheredParameters, gather_parameters, list_runs_dirs

    given = flags.list_given()
    if flags.sweep_file is not None:
        from multistage.domain.sweep_file import name_config_id
        from multistage.request.sweep_file_content import read_content, read_run_cap

        content = read_content(flags.sweep_file)
        given["sweep_file"] = content
        if resume is None:
            config_id = config_id or name_config_id(content) or flags.sweep_file.stem
            given.setdefault("budget", read_run_cap(content))
    if resume is None:
        gathered = gather_parameters({"config_id": config_id, **given}, Path.cwd(), flags.settings)
        parameters = gathered.parameters
        refuse_modal_flags(given, parameters.get("launcher", "local"))
        runs_dir = Path(parameters.get("runs_dir", "runs")).absolute()
        return gathered.model_copy(update={"parameters": {**parameters, "runs_dir": runs_dir}})
    from multistage.request.preparation import take_up
    from multistage.store.sweep_folder import find_folder

    places = (flags.runs_dir,) if flags.runs_dir else list_runs_dirs(Path.cwd(), flags.settings)
    folder = find_folder(resume, *places)
    state = folder.load_state()
    if config_id not in (None, state.config_id):
        raise UsageError(
            f"{folder.path} holds a sweep of {state.config_id}, not of {config_id}.", "Leave CONFIG_ID out."
        )
    parameters = take_up(state, given)
    refuse_modal_flags(given, parameters["launcher"])
    place: dict[str, Any] = {"name": folder.name, "runs_dir": folder.path.parent, "resume": True}
    return GatheredParameters(parameters={**parameters, **place}, sources=dict.fromkeys(given, "command line"))


def refuse_modal_flags(given: Mapping[str, Any], launcher: str) -> None:
    """Refuse flags that only Modal takes, or only this machine.

    Raises:
        UsageError: If one was given for trainings elsewhere.
    """
    if launcher == "modal" and "python" in given:
        raise UsageError("--python has no meaning on Modal.", "Containers have their own: --image-python 3.12.")
    lost = sorted(set(given) & {"runs_per_worker", "keep_workers", "max_cost", "modal", "project_dir", "image_python"})
    if launcher == "local" and lost:
        flag = f"modal-{next(iter(given['modal']))}" if lost[0] == "modal" else lost[0]
        raise UsageError(f"--{flag.replace('_', '-')} has no meaning on this machine.", "Add --launcher modal.")

"""Options of what is searched, what is trained and what that is judged by."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from multistage.options.option import Option, Options, Pairs, Place


class SubjectOptions(Options):
    """What a flow must be told, and each command takes in its own way."""

    title: ClassVar[str] = "What is searched"
    mark: ClassVar[str] = "search"

    config_id: Annotated[str, Option(settles="config_id", common=True, flag=False, filed=False)]
    """What to train, such as CartPole-v1:ppo."""


class SearchOptions(Options):
    """What is searched, and how, in three stages."""

    title: ClassVar[str] = "What is searched"
    mark: ClassVar[str] = "search"
    stages_only: ClassVar[bool] = True

    params: Annotated[str, Option(settles="space", common=True, sign="TEXT", file_says=("parameters",))] = ""
    """Swept hyperparameters, such as policy_lr,clip_range:0.1-0.3: name, name:min-max, name:log:min-max,
    name:int:min-max, name:[a|b|c]."""
    budget: Annotated[int, Field(ge=10), Option(common=True, sign="N", told=True)] = 500
    """Training runs in all, finalists included; 300 or more narrow well."""
    split: Annotated[str, Option(settles="split", sign="A/B/C", told=True)] = "30/50/20"
    """Percent of the budget a stage."""
    stage1: Annotated[Literal["auto", "grid", "sobol"], Option(settles="stage1", told=True)] = "auto"
    """How stage 1 explores; auto takes the grid where it fits, filled up with Sobol points."""
    grid_resolution: Annotated[int, Field(ge=2, le=100), Option(settles="grid_resolution", sign="N", told=True)] = 5
    """Values a parameter on the grid."""
    prior: Annotated[str, Option(settles="prior", sign="auto|field|NAME|none", told=True)] = "none"
    """What other trainings tell half of stage 1: earlier sweeps by their names, field (public trainings of PPO), both
    with commas between; auto takes the latest sweeps of the same program, and the field where it knows the
    algorithm."""
    finalists: Annotated[
        str, Option(usually="auto: none up to 50 runs, 12% from 150 on", sign="auto|N|N%", told=True)
    ] = "auto"
    """Runs that train contenders again on fresh seeds: auto, a number or a percentage."""
    seed: Annotated[int, Field(ge=0), Option(settles="seed", common=True, sign="N", told=True)] = 0
    """Makes the search and the trainings reproducible."""
    seed_param: Annotated[str | None, Option(settles="seed_parameter", sign="NAME")] = None
    """Hyperparameter of your own program that takes each run's seed; bundled trainers have theirs."""
    baseline: Annotated[Pairs, Option(sign="KEY=VALUE")] = ()
    """Your own program's usual key=value of a swept hyperparameter, which is trained first and races the contenders;
    may be given several times."""
    search: Annotated[str, Field(min_length=1), Option(settles="search", told=True, sign="NAME")] = "auto"
    """Who proposes in stages 2 and 3: gp (this project's Gaussian process), wandb (W&B's own engine), random, sobol,
    optuna:tpe, or an installed package's searcher; auto takes the first where the server can queue configs."""
    early_stop: Annotated[
        Literal["auto", "hyperband", "none"], Option(settles="early_stop", told=True, file_says=("early_terminate",))
    ] = "auto"
    """Whether poor runs of stages 2 and 3 are stopped; auto does with --search wandb."""


class SweepFileOptions(Options):
    """What says all of that otherwise."""

    title: ClassVar[str] = "What is searched"
    mark: ClassVar[str] = "search"
    stages_only: ClassVar[bool] = True

    sweep_file: Annotated[
        dict[str, Any] | None, Option(is_content=True, filed=False, sign="FILE", takes="a W&B sweep's config")
    ] = None
    """A W&B sweep file: its parameters, metric, goal, program, command and early_terminate, instead of --params."""


class SingleOptions(Options):
    """What is said only of a W&B sweep that is run as it is."""

    title: ClassVar[str] = "A W&B sweep as it is"
    mark: ClassVar[str] = "sweep"

    count: Annotated[
        int,
        Field(ge=1),
        Option(common=True, filed=False, sign="N", usually="the file's run_cap, else its grid's points"),
    ]
    """Training runs."""
    sweep_id: Annotated[str | None, Option(filed=False, sign="ID")] = None
    """A sweep that is there already: ENTITY/PROJECT/ID, or ID alone. It is left as it was found."""


class MetricOptions(Options):
    """What runs are judged by."""

    title: ClassVar[str] = "What is trained and optimized"
    mark: ClassVar[str] = "metric"

    metric: Annotated[
        str | None,
        Option(settles="metric", common=True, usually="the trainer's own", sign="KEY", file_says=("metric",)),
    ] = None
    """Logged key to optimize, which a program of your own needs."""
    goal: Annotated[
        Literal["maximize", "minimize"] | None,
        Option(settles="goal", common=True, usually="the trainer's own, else maximize", file_says=("metric",)),
    ] = None
    """Which way is better."""
    metric_value: Annotated[str, Option(settles="metric_value", sign="last|best|mean:N", told=True)] = "last"
    """A run's value: last, best or mean:N of the logged ones."""


class ProgramOptions(Options):
    """What trains."""

    title: ClassVar[str] = "What is trained and optimized"
    mark: ClassVar[str] = "program"
    stages_only: ClassVar[bool] = True

    program: Annotated[
        str | None,
        Option(settles="program", common=True, sign="FILE", from_file=True, file_says=("program", "command")),
    ] = None
    """Your own training script, or a module as Python finds it, run as W&B's agent would; the config id is then a
    label."""
    style: Annotated[str | None, Option(usually="argparse", sign="NAME", file_says=("command",), rival="command")] = (
        None
    )
    """How your program takes its parameters, instead of a --command: argparse, flags, switches, hyphens, hyphen-flags,
    hyphen-switches, hydra, configurator, lightning, json, json-file, config or guide."""
    command: Annotated[
        str | None, Option(settles="command", sign="TEXT", file_says=("program", "command"), rival="style")
    ] = None
    """Another command than W&B's '${env} ${interpreter} ${program} ${args}'; ${config_id} is replaced too."""
    train_arg: Annotated[Pairs, Option(settles="fixed", sign="KEY=VALUE", idle_alone=True)] = ()
    """A fixed key=value of every run; may be given several times."""


class TrackerOptions(Options):
    """Where the tracker keeps it."""

    title: ClassVar[str] = "Where the sweep is kept"
    mark: ClassVar[str] = "kept"

    tracker: Annotated[Literal["auto", "embedded", "wandb"], Option(settles="tracker")] = "auto"
    """The W&B server; auto takes W&B where the client is logged in, else the embedded one."""
    entity: Annotated[str | None, Option(settles="entity", usually="WANDB_ENTITY, else local", sign="NAME")] = None
    """W&B user or team."""
    project: Annotated[
        str | None, Option(settles="project", usually="WANDB_PROJECT, else the config id up to its colon", sign="NAME")
    ] = None
    """W&B project."""


class FolderOptions(Options):
    """Where this machine keeps it."""

    title: ClassVar[str] = "Where the sweep is kept"
    mark: ClassVar[str] = "kept"

    name: Annotated[
        str | None,
        Option(common=True, filed=False, usually="multistage_sweep_ and the config id", sign="NAME"),
    ] = None
    """The sweep's name and folder."""
    runs_dir: Annotated[Place, Option(sign="PATH", from_file=True)] = Path("runs")
    """Where the sweeps' folders lie."""
    settings: Annotated[
        Place | None,
        Option(filed=False, usually="MULTISTAGE_SETTINGS, else multistage.toml in the current folder", sign="FILE"),
    ] = None
    """A settings file."""


class ResumeOptions(Options):
    """What a flow is told of a sweep that is there."""

    title: ClassVar[str] = "Where the sweep is kept"
    mark: ClassVar[str] = "kept"

    resume: Annotated[bool, Option(flag=False, filed=False, usually="")] = False
    """Continue with the sweep that the folder holds."""

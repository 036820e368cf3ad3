"""What a sweep trains and what of it is searched: told by flags, or by a W&B sweep file."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from multistage.domain.model import Model
from multistage.domain.runs.results import Config, Goal, Value
from multistage.domain.runs.values import require_number
from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.grammar import note_choices, parse_params
from multistage.domain.space.layout import Layout, Place, decode_value, encode_value, separate_choices
from multistage.domain.space.parameters import CategoricalParameter, Parameter
from multistage.domain.space.search_space import SearchSpace
from multistage.domain.space.usual_values import fit_usual
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.sweep.sweep_file import SweepFile, find_config_id, read_sweep_file
from multistage.domain.workers.styles import find_style
from multistage.errors import ConfigUnknownError, SpaceError, UsageError
from multistage.request.subject.assignments import parse_assignments
from multistage.request.subject.metric_choice import choose_metric
from multistage.request.subject.programs import settle_program
from multistage.spelling import suggest
from multistage.training.catalogue import TRAINERS, Trainer, find_trainer


class Subject(Model):
    """What is trained, and what of it is searched."""

    trainer: Trainer | None
    """The bundled trainer; None for a program of the user's own."""
    space: SearchSpace
    fixed: Config
    layout: dict[str, Place] = Field(default_factory=dict)
    metric: str
    goal: Goal
    program: str | None
    """Path of the user's own script, or the name of a module."""
    command: tuple[str, ...]
    early_terminate: dict[str, Any] | None = None
    """What a sweep file says of it."""
    entity: str | None = None
    """None for the account's own."""
    project: str = ""
    notes: tuple[str, ...] = ()
    """What is searched otherwise than a sweep file's words say, a sentence each."""


def read_subject(request: SweepRequest, directory: Path, runs_dir: Path | None = None) -> Subject:
    """Find out what a request is about.

    Args:
        request: What was asked for.
        directory: Where a relative program is looked for.
        runs_dir: Where earlier sweeps lie, which tell what a script logs.

    Raises:
        UsageError: If there is nothing to train or to search, the flags contradict the sweep file, or nobody said by
            what a script is optimized.
    """
    if request.sweep_file is None:
        subject = _read_flags(request, directory, runs_dir)
    elif not request.params:
        subject = _read_file(request, read_sweep_file(request.sweep_file), directory, runs_dir)
    else:
        raise UsageError(
            "--params and the sweep file both name the swept hyperparameters.", "Leave --params out, or the file."
        )
    both = sorted(set(subject.fixed) & set(subject.space.names))
    if both:
        raise UsageError(f"{both[0]} is both swept and fixed.", "Take it out of --params, or out of --train-arg.")
    if subject.trainer is not None:
        subject.trainer.check_extra()
        if request.style is not None:
            find_style(request.style)
            raise UsageError(
                f"The trainer {subject.trainer.config_id} is bundled, and takes no --style.",
                "Leave --style out, or name your own script with --program.",
            )
        _check_hyperparameters(subject.trainer, subject.space, subject.fixed, subject.layout)
    entity = choose_entity(request.entity, subject.entity)
    project = choose_project(request.project, subject.project, request.config_id)
    return subject.model_copy(update={"entity": entity, "project": project})


def _read_flags(request: SweepRequest, directory: Path, runs_dir: Path | None) -> Subject:
    own = request.program is not None or request.command is not None
    trainer = None if own else find_trainer(request.config_id)
    if trainer is None and not own:
        hint = f"There are {', '.join(TRAINERS)}; train your own script with --program train.py."
        raise ConfigUnknownError(request.config_id, hint)
    if not request.params:
        raise UsageError("No --params were given.", "Name hyperparameters to sweep: --params policy_lr,clip_range.")
    program, command = None, tuple(trainer.command) if trainer else ()
    if trainer is None:
        program, command = settle_program(request, request.program, (), directory)
    space, layout = separate_choices(parse_params(request.params, trainer.parameters if trainer else GUIDE_PARAMETERS))
    metric, goal = choose_metric(request, trainer, None, (program, command), runs_dir)
    return Subject(
        trainer=trainer,
        space=space,
        layout=layout,
        notes=note_choices(request.params),
        fixed=parse_assignments("train-arg", request.train_arg),
        metric=metric,
        goal=goal,
        program=program,
        command=command,
    )


def _read_file(request: SweepRequest, file: SweepFile, directory: Path, runs_dir: Path | None) -> Subject:
    if not request.single and file.run_cap is not None and file.run_cap < request.budget:
        raise UsageError(
            f"A budget of {request.budget} runs is above the sweep file's run_cap of {file.run_cap}.",
            "Lower --budget, or raise the file's run_cap.",
        )
    named = find_config_id(file.command)
    if named not in (None, request.config_id) and request.command is None:
        raise UsageError(
            f"The sweep file trains {named}, and {request.config_id} was asked for.",
            "Leave CONFIG_ID out, or change the file's command.",
        )
    if request.style is not None and file.command:
        raise UsageError(
            "The sweep file has a command of its own, and --style names another.",
            "Leave --style out, or take the command out of the file.",
        )
    trainer = _find_bundled(request, file)
    program, command = None, tuple(trainer.command) if trainer else ()
    if trainer is None:
        program, command = settle_program(request, request.program or file.program, file.command, directory)
    fixed = file.fixed | {
        name: encode_value(value) if name in file.layout and file.layout[name].is_json else value
        for name, value in parse_assignments("train-arg", request.train_arg).items()
    }
    metric, goal = choose_metric(request, trainer, file, (program, command), runs_dir)
    return Subject(
        trainer=trainer,
        space=file.space,
        fixed=fixed,
        layout=file.layout,
        metric=metric,
        goal=goal,
        program=program,
        command=command,
        early_terminate=file.early_terminate,
        entity=file.entity,
        project=file.project or "",
        notes=file.notes,
    )


def trains_bundled(request: SweepRequest) -> bool:
    """Whether a bundled trainer trains; before anything else of a request has been looked at."""
    trainer = None if request.program or request.command is not None else find_trainer(request.config_id)
    file = request.sweep_file or {}
    words = [str(word) for word in file.get("command") or ()]
    return trainer is not None and (words == trainer.command or not (words or file.get("program")))


def _find_bundled(request: SweepRequest, file: SweepFile) -> Trainer | None:
    """Find the bundled trainer that a sweep file trains with, by its command or by naming nothing else."""
    trainer = None if request.program or request.command is not None else find_trainer(request.config_id)
    usual = file.command == tuple(trainer.command) if trainer else False
    return trainer if usual or not (file.command or file.program) else None


def _check_hyperparameters(trainer: Trainer, space: SearchSpace, fixed: Config, layout: Layout) -> None:
    """Refuse what a bundled trainer would refuse, before anything is started."""
    _check_names(trainer, (*space.names, *fixed))
    given = {name: decode_value(name, value, layout) for name, value in fixed.items()}
    try:
        trainer.settings.model_validate(dict(trainer.defaults) | given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"The trainer {trainer.config_id} refuses {place or 'these settings'}: {first['msg']}.", "Fix --train-arg."
        ) from error
    for parameter in space.parameters:
        for value in parameter.bounds:
            _check_value(trainer, parameter.name, decode_value(parameter.name, value, layout))


def _check_names(trainer: Trainer, names: Iterable[str]) -> None:
    unknown = [name for name in names if name not in trainer.defaults]
    if unknown:
        raise SpaceError(
            f"The trainer {trainer.config_id} has no hyperparameter {unknown[0]!r}.",
            f"{suggest(unknown[0], trainer.defaults)}It has {', '.join(sorted(trainer.defaults))}.",
        )


def _check_value(trainer: Trainer, name: str, value: Any) -> None:
    """Refuse a bound, or a choice, that the trainer refuses by itself; each run checks how values go together."""
    try:
        trainer.settings.model_validate(dict(trainer.defaults) | {name: value})
    except ValidationError as error:
        for problem in error.errors():
            if problem["loc"] == (name,):
                raise SpaceError(
                    f"The trainer {trainer.config_id} refuses {name} = {value!r}: {problem['msg'].lower()}.",
                    "Give --params a range that it takes.",
                ) from error


def find_baseline(subject: Subject, given: Sequence[str]) -> Config:
    """Find the usual values of what is searched, which are trained first and race the contenders.

    Args:
        subject: Whose bundled trainer has values of its own.
        given: ``key=value`` texts, which win.

    Returns:
        A value of each swept hyperparameter, within its range or not; empty where none were given and the trainer's
        own are unknown or no choice at all.

    Raises:
        UsageError: The texts leave a swept hyperparameter out, or give one a value that it cannot have.
    """
    told = {
        name: encode_value(value) if name in subject.layout and subject.layout[name].is_json else value
        for name, value in parse_assignments("baseline", given).items()
    }
    if subject.trainer is not None:
        _check_names(subject.trainer, told)
    known = dict(subject.trainer.defaults if subject.trainer else {}) | told
    missing = [name for name in subject.space.names if name not in known]
    if told and missing:
        raise UsageError(
            f"--baseline does not name {missing[0]}, which is swept.",
            f"Add --baseline {missing[0]}=..., or leave --baseline out: usual values are trained as one config.",
        )
    for parameter in subject.space.parameters:
        if parameter.name in told:
            known[parameter.name] = _check_usual(parameter, told[parameter.name])
    choices = [parameter for parameter in subject.space.parameters if parameter.kind == "categorical"]
    if missing or not all(choice.contains(known[choice.name]) for choice in choices):
        return {}
    return {name: known[name] for name in subject.space.names}


def _check_usual(parameter: Parameter, value: Value) -> Value:
    try:
        return fit_usual(parameter, value)
    except ValueError as error:
        if isinstance(parameter, CategoricalParameter):
            remedy = "Add it to them, or leave --baseline out."
        elif require_number(value) is None:
            remedy = f"Write it as --baseline {parameter.name}=0.5."
        else:
            remedy = "Sweep it without int:, or give it a whole one."
        raise UsageError(f"--baseline gives {parameter.name} the value {value!r}, which is {error}.", remedy) from error


def choose_seed_parameter(subject: Subject, name: str | None) -> str | None:
    """Choose what a training takes its seed as: `seed` with a bundled trainer, what is named with one's own script.

    Args:
        subject: What is trained.
        name: What ``--seed-param`` says.

    Raises:
        UsageError: It is not a name, or one that is given a value otherwise.
    """
    if name is None:
        return "seed" if subject.trainer else None
    if not name or set(name) & set("= ") or name.startswith("-"):
        raise UsageError(f"--seed-param {name!r} is not a name.", "Give it the name alone: --seed-param seed.")
    if subject.trainer and name != "seed":
        raise UsageError(
            f"--seed-param names {name}, and the trainer {subject.trainer.config_id} takes its seed as `seed`.",
            "Leave --seed-param out.",
        )
    if name in (*subject.fixed, *subject.space.names):
        raise UsageError(
            f"--seed-param names {name}, which is swept or fixed.", "Leave one of the two out: each run gets its own."
        )
    for word in subject.command:
        flag = word.partition("=")[0].lstrip("-+").replace("-", "_")
        if flag == name.replace("-", "_") and (word.startswith("-") or "=" in word):
            raise UsageError(
                f"--seed-param names {name}, and the command sets it: {word}.", "Remove it from the command."
            )
    return name


def choose_entity(asked: str | None, written: str | None) -> str | None:
    """Choose the user or team: what was asked for, else the environment's, the sweep file's; None for the account's."""
    return asked or os.environ.get("WANDB_ENTITY") or written


def choose_project(asked: str | None, written: str | None, config_id: str) -> str:
    """Choose the project: what was asked for, else the environment's, the sweep file's, the config id up to a colon."""
    name = asked or os.environ.get("WANDB_PROJECT") or written or config_id.split(":")[0]
    return "".join("-" if letter in "/\\#?%:" else letter for letter in name)[:128]

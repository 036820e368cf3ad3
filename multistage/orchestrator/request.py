"""From what a user types, flat and textual, to a sweep's settings. The command line and the flow share it."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from multistage.domain.account import EMBEDDED, Account
from multistage.domain.budget import Split, check_budget, parse_finalists, parse_split, split_budget
from multistage.domain.defaults import GUIDE_METRIC, GUIDE_PARAMETERS
from multistage.domain.grammar import parse_params
from multistage.domain.metric import parse_metric_value
from multistage.domain.model import Model
from multistage.domain.plan import EarlyStop, SearchEngine, SweepPlan, SweepSettings, plan_sweep
from multistage.domain.request import SweepRequest
from multistage.domain.results import Config, Value
from multistage.domain.space import SearchSpace
from multistage.errors import SpaceError, UsageError
from multistage.training.catalogue import TRAINERS, Trainer, find_trainer


class ResolvedRequest(Model):
    """A request that makes sense."""

    plan: SweepPlan
    warnings: tuple[str, ...]


def resolve_request(request: SweepRequest, directory: Path, account: Account = EMBEDDED) -> ResolvedRequest:
    """Check a request and fill in every default.

    Args:
        request: What was asked for.
        directory: Where a relative ``program`` is looked for.
        account: The server that the sweep will use.

    Raises:
        UsageError: If anything in it makes no sense; nothing has been started.
    """
    trainer = find_trainer(request.config_id)
    program = _find_program(request.program, directory) if request.program else None
    if program is None and request.command is None:
        if trainer is None:
            raise UsageError(
                f"No bundled trainer serves the config id {request.config_id!r}.",
                f"There are {', '.join(TRAINERS)}; train your own script with --program train.py.",
            )
        trainer.check_extra()
    bundled = trainer if program is None and request.command is None else None
    space = parse_params(request.params, bundled.parameters if bundled else GUIDE_PARAMETERS)
    fixed = _parse_assignments("train-arg", request.train_arg)
    both = sorted(set(fixed) & set(space.names))
    if both:
        raise UsageError(f"{both[0]} is swept and fixed at once.", "Take it out of --params or out of --train-arg.")
    if bundled is not None:
        _check_hyperparameters(bundled, space, fixed)
    parse_metric_value(request.metric_value)
    split = parse_split(request.split)
    warning = check_budget(request.budget)
    search = _choose_search(request, account)
    baseline = dict(bundled.defaults if bundled else {}) | _parse_assignments("baseline", request.baseline)
    seed_parameter = "seed" if bundled else request.seed_parameter
    seeded = search == "gp" and seed_parameter not in (*fixed, *space.names)
    settings = SweepSettings(
        config_id=request.config_id,
        space=space,
        metric=request.metric or (bundled.metric if bundled else GUIDE_METRIC),
        metric_value=request.metric_value,
        goal=request.goal or (bundled.goal if bundled else "maximize"),
        budget=request.budget,
        split=split,
        stage1=request.stage1,
        grid_resolution=request.grid_resolution,
        finalists=_count_finalists(request, split, search),
        seed=request.seed,
        seed_parameter=seed_parameter if seeded else None,
        program=str(program) if program else None,
        command=tuple(bundled.command) if bundled else _build_command(request),
        fixed=fixed,
        baseline={name: baseline[name] for name in space.names} if set(space.names) <= set(baseline) else {},
        search=search,
        early_stop=_choose_early_stop(request, search),
        tracker=account.kind,
        server=account.base_url,
        entity=request.entity or os.environ.get("WANDB_ENTITY") or account.entity,
        project=_clean_project(request.project or os.environ.get("WANDB_PROJECT") or request.config_id.split(":")[0]),
    )
    return ResolvedRequest(plan=plan_sweep(settings), warnings=(warning,) if warning else ())


def count_cores() -> int:
    """Count the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _choose_search(request: SweepRequest, account: Account) -> SearchEngine:
    match request.search:
        case "wandb":
            if request.stage1 == "sobol":
                raise UsageError("W&B's engine draws no Sobol points.", "Use --search gp, or leave --stage1 out.")
            return "wandb"
        case "gp" if not account.can_enqueue:
            raise UsageError(
                f"The W&B server at {account.base_url} takes no runs enqueued by a client, which --search gp needs.",
                "Use --search wandb, or --tracker embedded.",
            )
        case "auto" if not account.can_enqueue:
            return "wandb"
        case _:
            return "gp"


def _choose_early_stop(request: SweepRequest, search: SearchEngine) -> EarlyStop:
    """Hyperband belongs to the guide's way, by W&B's engine; the evidence is against it elsewhere."""
    if request.early_stop == "auto":
        return "hyperband" if search == "wandb" else "none"
    return request.early_stop


def _count_finalists(request: SweepRequest, split: Split, search: SearchEngine) -> int:
    """Count the contenders' runs; W&B's engine proposes every run of its sweeps, so it has none."""
    if search == "gp":
        return parse_finalists(request.finalists, request.budget, split_budget(request.budget, split)[2])
    if request.finalists not in ("auto", "0"):
        raise UsageError("W&B's engine cannot train contenders again.", "Use --search gp, or --finalists 0.")
    return 0


def _find_program(program: str, directory: Path) -> Path:
    path = (directory / program).absolute()
    if not path.is_file():
        raise UsageError(f"The program {program!r} does not exist in {directory}.", "Give --program a file.")
    return path


def _build_command(request: SweepRequest) -> tuple[str, ...]:
    if request.command is None:
        return ()
    try:
        parts = shlex.split(request.command)
    except ValueError as error:
        raise UsageError(f"--command {request.command!r} cannot be split: {error}.", "Check its quotes.") from error
    if not parts:
        raise UsageError("--command is empty.", "W&B's default is '${env} ${interpreter} ${program} ${args}'.")
    return tuple(part.replace("${config_id}", request.config_id) for part in parts)


def _parse_assignments(option: str, texts: Sequence[str]) -> Config:
    values: Config = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise UsageError(f"--{option} {text!r} is no key=value.", f"Write it as --{option} total_timesteps=2000.")
        values[name] = _parse_value(value)
    return values


def _parse_value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _check_hyperparameters(trainer: Trainer, space: SearchSpace, fixed: Config) -> None:
    """Refuse what a bundled trainer would refuse, before anything is started."""
    unknown = [name for name in (*space.names, *fixed) if name not in trainer.defaults]
    if unknown:
        raise SpaceError(
            f"The trainer {trainer.config_id} has no hyperparameter {unknown[0]!r}.",
            f"It has {', '.join(sorted(trainer.defaults))}.",
        )
    try:
        trainer.settings.model_validate(dict(trainer.defaults) | fixed)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"The trainer {trainer.config_id} refuses {place or 'these settings'}: {first['msg']}.", "Mend --train-arg."
        ) from error
    for parameter in space.parameters:
        for value in parameter.bounds:
            _check_value(trainer, parameter.name, value)


def _check_value(trainer: Trainer, name: str, value: Value) -> None:
    """Refuse a bound, or a choice, that the trainer refuses by itself; how values go together is each run's affair."""
    try:
        trainer.settings.model_validate(dict(trainer.defaults) | {name: value})
    except ValidationError as error:
        for problem in error.errors():
            if problem["loc"] == (name,):
                raise SpaceError(
                    f"The trainer {trainer.config_id} refuses {name} = {value!r}: {problem['msg'].lower()}.",
                    "Give --params a range that it takes.",
                ) from error


def _clean_project(name: str) -> str:
    """Replace what W&B refuses in a project's name."""
    return "".join("-" if letter in "/\\#?%:" else letter for letter in name)[:128]

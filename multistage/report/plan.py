"""What a sweep would do, for the terminal: its ranges and stages, and where each setting came from."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from multistage.domain.durations import format_duration
from multistage.domain.space.grammar import format_range
from multistage.domain.sweep.plan import RunOptions, StagePlan, SweepPlan
from multistage.domain.workers.styles import DEFAULT_COMMAND
from multistage.options.catalogue import list_names
from multistage.report.banner import format_config

DEFAULTED = list_names(told=True)
"""What is told even where nobody asked for it."""
UNTOLD = ("config_id", "params", "sweep_file", "runs_dir", "settings", "name")
"""What the rest of a plan shows."""


def draw_plan(plan: SweepPlan, options: RunOptions, folder: Path, run_seconds: float | None = None) -> Group:
    """Draw what a sweep would run.

    Args:
        plan: The sweep.
        options: How it would be run.
        folder: Where its state would lie.
        run_seconds: Length of one run, where that is known.
    """
    settings = plan.settings
    ranges = Table(title="Swept hyperparameters", title_justify="left")
    ranges.add_column("range")
    if settings.baseline:
        ranges.add_column("its usual value" if settings.program else "the trainer's default")
    for parameter in settings.space.parameters:
        usual = [escape(str(settings.baseline.get(parameter.name, "")))] if settings.baseline else []
        ranges.add_row(escape(parameter.describe()), *usual)
    stages = Table(title="Stages", title_justify="left")
    for column in ("stage", "runs", *(["about"] if run_seconds else []), "search", "ranges"):
        stages.add_column(column)
    boxes = {1: "as above", 2: "mean ± 2 std of stage 1's top 10%", 3: "mean ± 1 std of stage 2's top 10%"}
    for stage in plan.stages:
        search = describe_search(stage, settings.prior)
        rounds = ceil(stage.runs / options.workers)
        times = [format_duration(rounds * run_seconds)] if run_seconds else []
        stages.add_row(str(stage.stage), str(stage.runs), *times, search, boxes[stage.stage])
    lines = [
        (
            f"{settings.config_id}: {settings.goal} {settings.metric} ({settings.metric_value}), "
            f"{settings.budget} runs, {options.workers} at once"
        ),
        f"Project {settings.entity}/{settings.project}, folder {folder}",
    ]
    if settings.fixed:
        lines.append(f"Every run with {format_config(settings.fixed)}")
    if settings.program:
        command = " ".join(settings.command or DEFAULT_COMMAND)
        lines.append(f"Program {settings.program}, by {command}")
    return Group(*(Text(line) for line in lines), ranges, stages)


def describe_search(stage: StagePlan, prior: str) -> str:
    """Say how a stage's configs are found.

    Args:
        stage: The stage.
        prior: What is known already, by name.
    """
    parts = [f"{stage.method}, {stage.grid_points} grid points" if stage.grid_points else stage.method]
    if stage.defaults:
        parts.append(
            "the first trains the usual values" if stage.stage == 1 else "the last trains the usual values again"
        )
    if stage.prior:
        parts.append(f"{stage.prior} by the prior ({prior.replace(',', ', ')})")
    if stage.finalists:
        parts.append(f"the last {stage.finalists} train contenders again on fresh seeds")
    return "; ".join(parts)


def draw_sources(
    parameters: Mapping[str, Any], sources: Mapping[str, str], plan: SweepPlan, options: RunOptions
) -> Group:
    """Draw which settings came from where; what was left to its default is listed below.

    Args:
        parameters: Those that were not left to a default.
        sources: Where each came from, in words.
        plan: The sweep's.
        options: How it would be run.
    """
    values = {**plan.settings.model_dump(), **options.model_dump(exclude={"directory", "modal"})}
    values["split"] = str(plan.settings.split)
    ranges = {parameter.name: format_range(parameter) for parameter in plan.settings.space.parameters}
    told = {name: value for name, value in parameters.items() if name not in UNTOLD}
    table = draw_settings(told, sources, ranges)
    rest = ", ".join(f"{name} {_write(values[name])}" for name in DEFAULTED if name not in parameters)
    return Group(*([table] if table.row_count else []), *([Text(f"By default: {rest}")] if rest else []))


def describe_sources(parameters: Mapping[str, Any], sources: Mapping[str, str], given: str) -> list[str]:
    """Say in a line for each source which settings came from it.

    Args:
        parameters: By name.
        sources: Where each came from, in words.
        given: What was asked for: the source that needs no mention.
    """
    told: dict[str, list[str]] = {}
    for name, where in sources.items():
        if where != given:
            told.setdefault(where, []).append(f"{name} {_write(parameters[name])}" if name in parameters else name)
    return [f"From {where}: {', '.join(settings)}." for where, settings in told.items()]


def draw_settings(
    parameters: Mapping[str, Any],
    sources: Mapping[str, str],
    ranges: Mapping[str, str],
    idle: Sequence[tuple[str, Any, str]] = (),
) -> Table:
    """Draw settings with where they came from.

    Args:
        parameters: By name.
        sources: Where each came from, in words; those of ``ranges.NAME`` too.
        ranges: By parameter.
        idle: Settings that mean nothing where trainings run, each with its value and where it came from.
    """
    table = Table("setting", "value", "from", title="Settings", title_justify="left")
    for name, value in parameters.items():
        if name in sources and value is not None:
            for key, part in _list_parts(name, value):
                table.add_row(escape(key), escape(_write(part)), escape(sources[name]))
    for name, text in ranges.items():
        if f"ranges.{name}" in sources:
            table.add_row(f"ranges.{name}", escape(text), escape(sources[f"ranges.{name}"]))
    for name, value, where in idle:
        for key, part in _list_parts(name, value):
            table.add_row(escape(key), escape(_write(part)), escape(where), style="dim")
    return table


def _list_parts(name: str, value: Any) -> list[tuple[str, Any]]:
    return [(f"{name}.{key}", part) for key, part in value.items()] if isinstance(value, Mapping) else [(name, value)]


def _write(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_write, value))
    return f"{value:g}" if isinstance(value, float) else str(value)

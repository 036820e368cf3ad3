"""One W&B sweep as one stage: its config as it is, from its file or from the server that holds it."""

from collections.abc import Iterator, Mapping
from typing import Any

from multistage.domain.space.distributions import parse_parameters
from multistage.domain.space.specifications import correct_parameters
from multistage.domain.sweep.account import Account
from multistage.domain.sweep.budget import Split
from multistage.domain.sweep.plan import SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.sweep.sweep_file import SweepFile, read_sweep_file
from multistage.errors import UsageError
from multistage.request.subject.sweep_subject import Subject


def describe_single(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of a single sweep's flow as all the rest knows them; leaves another flow's as they are."""
    if "count" not in parameters:
        return parameters
    return {**parameters, "budget": parameters["count"], "single": True}


def count_runs(content: Mapping[str, Any]) -> int:
    """Count the runs that a sweep's config bounds by itself.

    Raises:
        UsageError: If it does not.
    """
    file = read_sweep_file(content)
    bounds = [bound for bound in (file.run_cap, file.size) if bound is not None]
    if not bounds:
        raise UsageError("The sweep has no bound of its own.", "Say how many runs: --count 100.")
    return min(bounds)


def _warn_of_metric(request: SweepRequest, file: SweepFile, subject: Subject) -> Iterator[str]:
    """Say of a sweep that was there before that its engine does not go by another metric than its own."""
    if request.adopted and file.metric and (file.metric, file.goal) != (subject.metric, subject.goal):
        yield (
            f"The sweep {request.adopted.sweep_id} keeps its own metric, {file.metric} ({file.goal}); "
            f"{subject.metric} ({subject.goal}) only says which of its runs are best here."
        )


def settle_single(request: SweepRequest, subject: Subject, account: Account) -> tuple[SweepSettings, tuple[str, ...]]:
    """Make the settings of a W&B sweep that is run as it is.

    Args:
        request: What was asked for; its budget is the number of runs.
        subject: What the sweep's config says.
        account: The server.

    Returns:
        The settings, and what their user should know.

    Raises:
        UsageError: If nothing proposes the sweep's runs, or none are left.
    """
    content = request.sweep_file or {}
    file = read_sweep_file(content)
    if file.method is None:
        raise UsageError(
            "Nothing proposes this sweep's runs: its method is custom, or it has a scheduler or controller of its own.",
            "Give it the method grid, random or bayes; `multistage-sweep run --sweep-file` needs none.",
        )
    before = request.adopted.runs if request.adopted else 0
    left = [bound - before for bound in (file.run_cap, file.size) if bound is not None]
    if left and min(left) < 1:
        raise UsageError(
            f"The sweep has all its runs already: {before}, by its grid or its run_cap.", "Start another one."
        )
    if file.run_cap is not None and request.budget > file.run_cap - before:
        raise UsageError(
            f"--count {request.budget} is more than the {file.run_cap - before} runs that the sweep's run_cap of "
            f"{file.run_cap} leaves.",
            "Lower --count, or raise the sweep's run_cap.",
        )
    runs = min(request.budget, *left) if left else request.budget
    notes = []
    if file.size is not None and runs < file.size - before:
        notes.append(
            f"{runs} runs are a part of the grid's {file.size} points, which W&B walks in order: the first parameters "
            "will barely move."
        )
    notes += _warn_of_metric(request, file, subject)
    notes += [note for parameter in parse_parameters(content.get("parameters")) for note in parameter.notes]
    definition = dict(content)
    if request.adopted is None:
        definition["parameters"] = correct_parameters(content["parameters"])
    if request.metric or request.goal:
        definition["metric"] = {"name": subject.metric, "goal": subject.goal}
    if subject.command and not file.command and request.adopted is None:
        definition["command"] = list(subject.command)
    if subject.program and str(file.program).startswith("~") and request.adopted is None:
        definition["program"] = subject.program
    settings = SweepSettings(
        config_id=request.config_id,
        space=subject.space,
        metric=subject.metric,
        metric_value=request.metric_value,
        goal=subject.goal,
        budget=runs,
        split=Split(),
        search="wandb",
        early_stop="hyperband" if subject.early_terminate else "none",
        early_terminate=subject.early_terminate,
        program=subject.program,
        command=subject.command,
        fixed=subject.fixed,
        layout=subject.layout,
        tracker=account.kind,
        server=account.base_url,
        entity=subject.entity or account.entity,
        project=subject.project,
        definition=definition,
        adopted=request.adopted,
    )
    return settings, tuple(notes)

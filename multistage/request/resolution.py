"""From what a user types, flat and textual, to a sweep's settings: what can be told without a server, then the rest."""

from collections.abc import Callable, Iterator
from pathlib import Path

from multistage.domain.model import Model
from multistage.domain.runs.metric import parse_metric_value
from multistage.domain.runs.results import Config
from multistage.domain.sweep.account import EMBEDDED, Account
from multistage.domain.sweep.budget import Split, check_budget, parse_finalists, parse_split, split_budget
from multistage.domain.sweep.plan import (
    HYPERBAND,
    NO_PRIOR,
    OWN_SEARCH,
    SERVER_ENGINE,
    EarlyStop,
    Proposer,
    SweepPlan,
    SweepSettings,
    find_proposer,
    plan_sweep,
)
from multistage.domain.sweep.request import SweepRequest
from multistage.errors import UsageError
from multistage.request.priors.choice import Prior, choose_prior, find_sources, keep_prior, read_words
from multistage.request.subject.assignments import note_texts
from multistage.request.subject.single import settle_single
from multistage.request.subject.sweep_subject import (
    Subject,
    choose_seed_parameter,
    find_baseline,
    read_subject,
)
from multistage.search.registry import AUTO, check_search

USUAL_PROGRAM = "train.py"
"""What most projects call their training script."""


SEEDS = {"seed", "seeds", "random_state"}
"""What a seed is called, or a word of its name."""


class ResolvedRequest(Model):
    """A request that makes sense."""

    plan: SweepPlan
    account: Account
    warnings: tuple[str, ...]


class Outline(Model):
    """A request as far as it makes sense whatever the server."""

    request: SweepRequest
    subject: Subject
    split: Split
    seed_parameter: str | None
    baseline: Config
    prior: Prior
    notes: tuple[str, ...]


def resolve_request(
    request: SweepRequest,
    directory: Path,
    find_account: Callable[[], Account] = lambda: EMBEDDED,
    runs_dir: Path | None = None,
    frozen: SweepSettings | None = None,
) -> ResolvedRequest:
    """Check a request and fill in every default.

    Args:
        request: What was asked for.
        directory: Where a relative ``program`` is looked for.
        find_account: Finds the server that the sweep will use; it is asked when all else makes sense.
        runs_dir: Where earlier sweeps lie, which tell what a script logs and which configs promise most.
        frozen: The settings of the sweep that is taken up, if one is.

    Raises:
        UsageError: If anything in it makes no sense; nothing has been started.
    """
    outline = outline_request(request, directory, runs_dir, frozen)
    return settle_outline(outline, find_account())


def outline_request(
    request: SweepRequest, directory: Path, runs_dir: Path | None, frozen: SweepSettings | None = None
) -> Outline:
    """Check all of a request that no server has a say in; see `resolve_request`."""
    subject = read_subject(request, directory, runs_dir)
    parse_metric_value(request.metric_value)
    split, parameter, baseline, prior = Split(), None, Config(), Prior()
    notes = tuple(_warn_of_seeds(subject))
    if not request.single:
        split = parse_split(request.split)
        check_budget(request.budget)
        if request.search == "wandb" and request.stage1 == "sobol":
            raise UsageError("W&B's engine draws no Sobol points.", "Use --search gp, or leave --stage1 out.")
        parameter = choose_seed_parameter(subject, request.seed_param)
        baseline = find_baseline(subject, request.baseline)
        prior = _find_prior(request, subject, (split, baseline), runs_dir, frozen)
        texts = () if subject.trainer else note_texts("train-arg", request.train_arg)
        notes = (*subject.notes, *notes, *_warn_of_trainer(request, subject, directory), *texts)
    return Outline(
        request=request,
        subject=subject,
        split=split,
        seed_parameter=parameter,
        baseline=baseline,
        prior=prior,
        notes=notes,
    )


def settle_outline(outline: Outline, account: Account) -> ResolvedRequest:
    """Fill in what depends on the server.

    Args:
        outline: All the rest.
        account: The server.

    Raises:
        UsageError: If the server cannot do what was asked for, or there is no such plan.
    """
    request, subject = outline.request, outline.subject
    if request.single:
        single, notes = settle_single(request, subject, account)
        return ResolvedRequest(plan=plan_sweep(single), account=account, warnings=(*notes, *outline.notes))
    search = _choose_search(request, account)
    proposer = find_proposer(search)
    early_stop = _choose_early_stop(request, proposer, subject)
    prior = _settle_prior(request, outline.prior, proposer)
    seeded = proposer == "ours" and outline.seed_parameter not in (*subject.fixed, *subject.space.names)
    settings = SweepSettings(
        config_id=request.config_id,
        space=subject.space,
        metric=subject.metric,
        metric_value=request.metric_value,
        goal=subject.goal,
        budget=request.budget,
        split=outline.split,
        stage1=request.stage1,
        grid_resolution=request.grid_resolution,
        finalists=_count_finalists(request, outline.split, proposer),
        seed=request.seed,
        seed_parameter=outline.seed_parameter if seeded else None,
        program=subject.program,
        command=subject.command,
        fixed=subject.fixed,
        layout=subject.layout,
        baseline=outline.baseline,
        prior=prior.name,
        prior_configs=prior.configs,
        search=search,
        early_stop=early_stop,
        early_terminate=(subject.early_terminate or dict(HYPERBAND)) if early_stop == "hyperband" else None,
        tracker=account.kind,
        server=account.base_url,
        entity=subject.entity or account.entity,
        project=subject.project,
    )
    plan = plan_sweep(settings)
    return ResolvedRequest(plan=plan, account=account, warnings=(*outline.notes, *_list_idle_flags(request, plan)))


def _warn_of_trainer(request: SweepRequest, subject: Subject, directory: Path) -> Iterator[str]:
    """Say that a bundled trainer trains, where a script of the user's own lies beside it."""
    if subject.trainer is not None and (directory / USUAL_PROGRAM).is_file():
        yield (
            f"{request.config_id} is trained by the bundled trainer, not by the {USUAL_PROGRAM} in this folder: "
            f"for that add --program {USUAL_PROGRAM}, and --style guide where it takes --config_id and --wandb_sweep."
        )


def _warn_of_seeds(subject: Subject) -> Iterator[str]:
    """Say that a seed is no hyperparameter, where one is searched like one."""
    for name in subject.space.names:
        *_, key = name.lower().replace("-", "_").split(".")
        if SEEDS & {key, *key.split("_")}:
            yield (
                f"{name} is searched like a hyperparameter, but the best seed is only the luckiest: "
                f"take it out of the swept ones and add --seed-param {name}, by which each run gets its own."
            )


def _find_prior(
    request: SweepRequest,
    subject: Subject,
    settled: tuple[Split, Config],
    runs_dir: Path | None,
    frozen: SweepSettings | None,
) -> Prior:
    """Find what is known of other trainings: what the sweep began with, where one is taken up."""
    split, baseline = settled
    kept = keep_prior(request, frozen) if frozen else None
    if kept is not None:
        return kept
    words = read_words(request.prior)
    if request.stage1 == "grid" or request.search == SERVER_ENGINE:
        return Prior() if words in ((AUTO,), (NO_PRIOR,)) else _refuse_prior(request)
    sources = find_sources(request, subject, runs_dir)
    return choose_prior(request, sources, subject, baseline, split_budget(request.budget, split)[0])


def _settle_prior(request: SweepRequest, prior: Prior, proposer: Proposer) -> Prior:
    if proposer == "ours" or prior.name == NO_PRIOR:
        return prior
    return Prior() if read_words(request.prior) == (AUTO,) else _refuse_prior(request)


def _refuse_prior(request: SweepRequest) -> Prior:
    if request.stage1 == "grid":
        raise UsageError(
            f"--stage1 grid trains the grid alone, and --prior {request.prior} would add to it.",
            "Use --stage1 auto, or leave --prior out.",
        )
    raise UsageError(
        f"W&B's engine proposes stage 1, and takes no --prior {request.prior}.",
        "Use --search gp where the server lets it queue runs, as --tracker embedded does, or leave --prior out.",
    )


def _choose_search(request: SweepRequest, account: Account) -> str:
    if request.search == AUTO:
        return OWN_SEARCH if account.can_enqueue else SERVER_ENGINE
    check_search(request.search)
    proposer = find_proposer(request.search)
    if proposer == "server" and request.stage1 == "sobol":
        raise UsageError("W&B's engine draws no Sobol points.", "Use --search gp, or leave --stage1 out.")
    if proposer == "ours" and not account.can_enqueue:
        raise UsageError(
            f"The W&B server at {account.base_url} takes no runs enqueued by a client, which --search {request.search} "
            "needs.",
            "Use --search wandb, or --tracker embedded.",
        )
    return request.search


def _list_idle_flags(request: SweepRequest, plan: SweepPlan) -> Iterator[str]:
    """Say of what is known or was given for the evidence, and changes nothing, that it does."""
    settings = plan.settings
    if settings.baseline and not any(stage.defaults or stage.finalists for stage in plan.stages):
        why = "W&B's engine proposes every run" if settings.proposer == "server" else "stage 1 is the grid alone"
        yield f"The usual values are trained in no run, since {why}: the report cannot say whether they were beaten."
    if request.seed_param and settings.proposer == "server":
        yield f"W&B's engine proposes every run, and gives none a seed: {request.seed_param} stays the program's own."
    for text in request.baseline:
        name = text.partition("=")[0]
        if name not in settings.space.names:
            yield f"--baseline gives {name}, which is not swept: use --train-arg {text} if runs are to have it."


def _choose_early_stop(request: SweepRequest, proposer: Proposer, subject: Subject) -> EarlyStop:
    """Hyperband where a sweep file has it, and in the guide's way, by W&B's engine; the evidence is against it else."""
    if request.early_stop == "auto":
        return "hyperband" if proposer == "server" or subject.early_terminate else "none"
    return request.early_stop


def _count_finalists(request: SweepRequest, split: Split, proposer: Proposer) -> int:
    """Count the contenders' runs; W&B's engine proposes every run of its sweeps, so it has none."""
    if proposer == "ours":
        return parse_finalists(request.finalists, request.budget, split_budget(request.budget, split)[2])
    if request.finalists not in ("auto", "0"):
        raise UsageError("W&B's engine cannot train contenders again.", "Use --search gp, or --finalists 0.")
    return 0

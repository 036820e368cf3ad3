"""Whether the chosen launcher can do what was asked for, and what it says of this machine."""

from collections.abc import Mapping

from multistage.domain.sweep.account import Account
from multistage.domain.sweep.plan import RunOptions, SweepPlan, SweepSettings
from multistage.domain.workers.cost import Quote
from multistage.errors import UsageError
from multistage.launchers.base import LauncherKind
from multistage.launchers.registry import find_kind
from multistage.services.hosts import choose_host


def check_launching(plan: SweepPlan, options: RunOptions, account: Account) -> Quote | None:
    """Refuse what cannot be done where the sweep's trainings are to run; nothing has been started then.

    Returns:
        What one worker costs; None where workers cost nothing.

    Raises:
        UsageError: With the remedy.
    """
    kind = find_kind(options.launcher)
    kind.check(plan, options)
    _check_server(account, kind)
    if options.resumable and not kind.traits.sees_files:
        raise UsageError(
            f"--resumable needs a folder that outlives a worker, and {kind.traits.workers} on {kind.traits.title} have "
            "none.",
            "Leave it out, and let your script keep its checkpoints as artifacts.",
        )
    if not kind.traits.costs_money:
        return None
    quote = kind.quote(options, kind.fetch_prices())
    if options.max_cost is not None and options.max_cost < quote.fee.most:
        raise UsageError(
            f"--max-cost {options.max_cost:g} is below ${quote.fee.most:.3f}, which one run may cost "
            f"({quote.longest_run or quote.fee.seconds:g} s at ${quote.fee.rate * 3600:.3f} an hour).",
            quote.remedy,
        )
    return quote


def _check_server(account: Account, kind: LauncherKind) -> None:
    if not kind.reaches(account):
        server = "the embedded W&B server on this machine"
        if account.kind == "wandb":
            server = f"{account.base_url}, which is this machine"
        raise UsageError(
            f"{kind.traits.workers.capitalize()} on {kind.traits.title} cannot reach {server}.",
            "Log in with `wandb login`, so that they report to W&B.",
        )


def _find_host(kind: LauncherKind, options: RunOptions, account: Account) -> str | None:
    """Find the address of this machine on which workers reach the embedded server; None where they need none.

    Raises:
        UsageError: There is none, or the one that was asked for is another machine's.
    """
    if not kind.needs_address(account.kind, options):
        return None
    return choose_host(options.server_host, kind.find_peer())


def review_launching(
    settings: SweepSettings, options: RunOptions, account: Account, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Say what of this user's surroundings trainings do not get, a sentence each.

    Args:
        settings: The sweep.
        options: How it is run.
        account: The W&B server.
        environment: This process's variables, before W&B's client was used.

    Raises:
        UsageError: Runs would not reach their sweep.
    """
    kind = find_kind(options.launcher)
    host = _find_host(kind, options, account)
    sentences = kind.review(settings, options, account, environment)
    if host is None:
        return sentences
    opened = (
        f"The embedded W&B server listens on {host} too, for workers on other machines: plain HTTP, which others in "
        "that network could read. The key that such workers get opens this sweep alone."
    )
    return (*sentences, opened)


def describe_place(settings: SweepSettings, options: RunOptions) -> tuple[str, ...]:
    """Say where a sweep's trainings would run, a sentence each."""
    return find_kind(options.launcher).describe(settings, options)

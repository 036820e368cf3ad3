"""Whether Slurm would take a sweep's jobs, and what to do where it would not."""

import os
from collections.abc import Sequence

from multistage.errors import CloudAwayError, LaunchError, UsageError
from multistage.launchers.slurm.accounts import Accounting, Association, read_accounting
from multistage.launchers.slurm.commands import FullQueueError, call
from multistage.launchers.slurm.options import JobOptions
from multistage.launchers.slurm.records import MARK

NOT_NOW = "Requested node configuration is not available"
NO_ACCOUNT = "Invalid account"
NO_QUALITY = "Invalid qos"
NOBODY_SAYS = "`sacctmgr show user $USER withassoc` lists what you may use; else ask who runs the cluster."


def rehearse(options: JobOptions, jobs: int, partitions: Sequence[str], limit: float | None) -> None:
    """Ask Slurm whether it would take such jobs, since it alone knows its accounts, qualities of service and limits.

    Args:
        options: What each job asks for.
        jobs: How many are submitted at once.
        partitions: Those that the jobs may be in.
        limit: Seconds that a job may take; None for no limit.

    Raises:
        UsageError: It would not take them, or let them wait for ever.
        CloudAwayError: The controller does not answer.
    """
    try:
        call("sbatch", "--test-only", f"--array=0-{jobs - 1}", *options.list_arguments(), stdin="#!/bin/bash\n")
    except FullQueueError as error:
        _check_number(error, options, jobs, partitions)
    except CloudAwayError:
        raise
    except LaunchError as error:
        if NOT_NOW in error.message:  # said of drained nodes, too; what no node has was told before
            return
        raise _explain(error, options, partitions) from error
    _check_wall(options, partitions, limit)


def _explain(error: LaunchError, options: JobOptions, partitions: Sequence[str]) -> UsageError:
    if NO_ACCOUNT in error.message:
        return _explain_account(find_name(options, "account"), read_accounting(), partitions)
    if NO_QUALITY in error.message and (quality := find_name(options, "qos")):
        return _explain_quality(quality, find_name(options, "account"), read_accounting(), partitions)
    return UsageError(error.message, error.hint)


def _explain_account(account: str | None, accounting: Accounting | None, partitions: Sequence[str]) -> UsageError:
    where = f" in partition {', '.join(partitions)}" if accounting and _knows(accounting, account) else ""
    told = (
        f"Slurm has no account {account!r} that you may use{where}."
        if account
        else f"Slurm has no usual account for you{where}."
    )
    if accounting is None:
        return UsageError(told, f"Name one as --slurm-account: {NOBODY_SAYS}")
    there = accounting.list_accounts()
    if not there:
        return UsageError(told, "You may use none: ask who runs the cluster for one.")
    return UsageError(told, f"You may use {', '.join(there)}: --slurm-account {accounting.associations[0].account}.")


def _knows(accounting: Accounting, account: str | None) -> bool:
    return any(one.account == account if account else one.is_default for one in accounting.associations)


def _explain_quality(
    quality: str, account: str | None, accounting: Accounting | None, partitions: Sequence[str]
) -> UsageError:
    own = accounting.choose(account, partitions) if accounting else None
    if accounting is None or own is None:
        return UsageError(f"Slurm has no QOS {quality!r} that you may use.", f"Name another: {NOBODY_SAYS}")
    if accounting.find_quality(quality) is None:
        told = f"There is no Slurm QOS {quality!r}."
    else:
        told = f"The Slurm account {own.account!r} may not use the QOS {quality!r} for you."
    others = [one.account for one in accounting.associations if quality.lower() in one.qualities]
    if others:
        return UsageError(told, f"Your account {others[0]} may: --slurm-account {others[0]}.")
    if not own.qualities:
        return UsageError(told, "It has none to choose from: leave --slurm-qos out.")
    return UsageError(told, f"It may use {', '.join(own.qualities)}: --slurm-qos {own.qualities[0]}.")


def _check_number(error: FullQueueError, options: JobOptions, jobs: int, partitions: Sequence[str]) -> None:
    """Refuse more jobs than there may be; where only those of before are in the way, they may be a resumed sweep's own.

    Raises:
        UsageError: With the limit, where it is known.
    """
    most, by = _find_most(options, partitions)
    if (most is None or jobs <= most) and _has_own_jobs():
        return
    told = f"Slurm takes no {jobs} more job{'s' if jobs > 1 else ''} of yours: {error.limit}."
    if most is None:
        raise UsageError(told, f"Use fewer than --workers {jobs}, or wait until jobs of yours have ended.") from error
    fitting = f"use --workers {most} or fewer" if jobs > most else "wait until jobs of yours have ended"
    raise UsageError(
        told, f"With {by} you may have {most} in the queue, those that are there included: {fitting}."
    ) from error


def _find_most(options: JobOptions, partitions: Sequence[str]) -> tuple[int | None, str]:
    """Find how many jobs may be in the queue, and by what."""
    accounting = read_accounting()
    own = accounting.choose(find_name(options, "account"), partitions) if accounting else None
    if accounting is None or own is None:
        return None, ""
    found = [(own.most_jobs, f"the account {own.account}")]
    if quality := accounting.find_quality(find_name(options, "qos") or own.usual_quality):
        found.append((quality.most_jobs, f"the QOS {quality.name}"))
    known = [(most, by) for most, by in found if most is not None]
    return min(known) if known else (None, "")


def _has_own_jobs() -> bool:
    """Whether jobs of some sweep of this user are in the queue."""
    return any(name.startswith(MARK) for name in call("squeue", "--me", "--noheader", "--format=%j").split())


def _check_wall(options: JobOptions, partitions: Sequence[str], limit: float | None) -> None:
    """Refuse a time that accounting never allows: most clusters take such a job, and let it wait for ever."""
    accounting = read_accounting()
    if accounting is None or not accounting.has_limits or limit is None or _has_own_quality(partitions):
        return
    own = accounting.choose(find_name(options, "account"), partitions)
    if own is None:
        return
    longest, by = _find_longest(accounting, own, find_name(options, "qos") or own.usual_quality)
    if longest is not None and limit > longest:
        raise UsageError(
            f"A job with {by} may take {longest / 60:g} minutes at most, and these may take {limit / 60:g}.",
            f"Use --slurm-time {max(longest // 60, 1):.0f}: a run must fit into that.",
        )


def _find_longest(accounting: Accounting, own: Association, name: str) -> tuple[float | None, str]:
    """Find how long a job may take: what its quality of service says goes before what its account does."""
    quality = accounting.find_quality(name)
    if quality is not None and quality.longest is not None:
        return quality.longest, f"Slurm's QOS {quality.name}"
    return own.longest, f"Slurm's account {own.account}"


def _has_own_quality(partitions: Sequence[str]) -> bool:
    """Whether a partition has a quality of service of its own, which goes before the job's."""
    return any("QoS=N/A" not in call("scontrol", "--oneliner", "show", "partition", name) for name in partitions)


def find_name(options: JobOptions, kind: str) -> str | None:
    """Find which account, or quality of service ("qos"), jobs name: by their options, or sbatch's own variable."""
    named = [arg.lstrip("-").partition("=")[2] for arg in options.arg if arg.lstrip("-").startswith(f"{kind}=")]
    own: str | None = getattr(options, kind)
    return next(iter(reversed(named)), None) or own or os.environ.get(f"SBATCH_{kind.upper()}") or None

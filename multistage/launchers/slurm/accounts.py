"""What Slurm's accounting lets this user use, by sacctmgr where it answers."""

import shutil
from collections.abc import Sequence

import psutil

from multistage.domain.model import Model
from multistage.errors import LaunchError
from multistage.launchers.slurm.commands import call
from multistage.options.slurm import parse_time

ACCOUNTING_PATIENCE = 10.0
"""Seconds that Slurm's accounting, which many clusters lack, has to answer."""


class Association(Model):
    """An account that this user may use, perhaps in one partition alone."""

    account: str
    is_default: bool
    partition: str
    """Empty for any."""
    qualities: tuple[str, ...]
    """Names of the qualities of service that it may use."""
    usual_quality: str
    """That of jobs which name none; may be empty."""
    most_jobs: int | None
    """Jobs that the user may have in the queue by it; None for no limit."""
    longest: float | None
    """Seconds that a job may take; None for no limit."""


class Quality(Model):
    """A quality of service."""

    name: str
    most_jobs: int | None
    """Jobs that a user may have in the queue with it; None for no limit."""
    longest: float | None
    """Seconds that a job may take; None for no limit."""


class Accounting(Model):
    """What this user may use."""

    associations: tuple[Association, ...]
    qualities: tuple[Quality, ...]
    """All that there are, also those that the user may not use."""
    has_limits: bool
    """Whether Slurm keeps jobs to them."""

    def choose(self, account: str | None, partitions: Sequence[str]) -> Association | None:
        """Choose the association that a job is counted to; None where the user has none such."""
        own = [
            one
            for one in self.associations
            if (one.account == account if account else one.is_default) and one.partition in ("", *partitions)
        ]
        return max(own, key=lambda one: bool(one.partition), default=None)

    def find_quality(self, name: str) -> Quality | None:
        """Find a quality of service by its name, in which case does not matter; None where there is none such."""
        return next((one for one in self.qualities if one.name == name.lower()), None)

    def list_accounts(self) -> list[str]:
        """List the accounts that the user may use, each with its partition where it is for one alone."""
        return [
            f"{one.account} in partition {one.partition}" if one.partition else one.account for one in self.associations
        ]


def read_accounting() -> Accounting | None:
    """Ask what this user may use; None where there is no accounting, or it does not answer."""
    if shutil.which("sacctmgr") is None or shutil.which("scontrol") is None:
        return None
    try:
        told = call("scontrol", "show", "config")
        config = dict(line.split("=", 1) for line in told.replace(" ", "").splitlines() if "=" in line)
        user, cluster = psutil.Process().username(), config["ClusterName"]
        own = _ask("user", user, "withassoc", f"cluster={cluster}", columns=_ASSOCIATION)
        qualities = _ask("qos", columns=_QUALITY)
    except LaunchError:  # a cluster without accounting, or one whose accounting is away
        return None
    return Accounting(
        associations=tuple(map(_read_association, own)),
        qualities=tuple(
            Quality(name=name, most_jobs=_read_count(jobs), longest=_read_time(time)) for name, jobs, time in qualities
        ),
        has_limits="limits" in config.get("AccountingStorageEnforce", ""),
    )


_ASSOCIATION = "DefaultAccount,Account,Partition,QOS,DefaultQOS,MaxSubmit,MaxWall"
_QUALITY = "Name,MaxSubmitPU,MaxWall"


def _ask(*words: str, columns: str) -> list[list[str]]:
    command = ("sacctmgr", "--readonly", "--noheader", "--parsable2", "show", *words, f"format={columns}")
    return [line.split("|") for line in call(*command, limit=ACCOUNTING_PATIENCE).splitlines()]


def _read_association(row: list[str]) -> Association:
    default, account, partition, qualities, usual, jobs, longest = row
    return Association(
        account=account,
        is_default=account == default,
        partition=partition,
        qualities=tuple(qualities.split(",")) if qualities else (),
        usual_quality=usual,
        most_jobs=_read_count(jobs),
        longest=_read_time(longest),
    )


def _read_count(text: str) -> int | None:
    return int(text) if text else None


def _read_time(text: str) -> float | None:
    return parse_time(text) if text else None

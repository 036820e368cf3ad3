"""What a cluster has, by sinfo, and what no node of it has."""

import re
from collections.abc import Sequence

from multistage.domain.model import Model
from multistage.errors import UsageError
from multistage.launchers.slurm.commands import call
from multistage.launchers.slurm.options import JobOptions
from multistage.options.slurm import parse_gpus, parse_memory, parse_time

QUESTION = ("sinfo", "--noheader", "--exact", "--format=%P|%l|%L|%c|%m|%D|%G")
_GPU = re.compile(r"gpu:(?:([^:,()]+):)?(\d+)")


class NodeGroup(Model):
    """Nodes of one partition that are alike."""

    partition: str
    is_default: bool
    longest: float | None
    """Seconds that a job may take; None for no limit."""
    usual: float | None
    """Seconds that a job has which names no time; None for no limit."""
    cores: int
    memory: int
    """MiB."""
    nodes: int
    gpus: str
    """As Slurm writes them."""

    def count_gpus(self, kind: str) -> int:
        """Count the GPUs of a node, of one type or of any."""
        found = _GPU.findall(self.gpus)
        return sum(int(count) for name, count in found if not kind or name.lower() == kind.lower())


def read_cluster() -> list[NodeGroup]:
    """Ask which nodes there are.

    Raises:
        LaunchError: Slurm does not answer.
    """
    return parse_groups(call(*QUESTION))


def parse_groups(text: str) -> list[NodeGroup]:
    """Read sinfo's answer."""
    groups = []
    for line in text.splitlines():
        name, longest, usual, cores, memory, nodes, gpus = line.split("|", 6)
        limit = _read_time(longest)
        groups.append(
            NodeGroup(
                partition=name.rstrip("*"),
                is_default=name.endswith("*"),
                longest=limit,
                usual=limit if usual.strip() in ("n/a", "") else _read_time(usual),
                cores=int(cores.rstrip("+")),
                memory=int(memory.rstrip("+")),
                nodes=int(nodes),
                gpus=gpus,
            )
        )
    return groups


def _read_time(text: str) -> float | None:
    return None if text.strip() in ("infinite", "UNLIMITED", "n/a") else parse_time(text.strip())


def choose_groups(groups: Sequence[NodeGroup], options: JobOptions) -> list[NodeGroup]:
    """Choose the nodes that jobs may be on: those of the partitions that were named, else of the default one.

    Raises:
        UsageError: There is no such partition.
    """
    names = (
        options.partition.split(",") if options.partition else [group.partition for group in groups if group.is_default]
    )
    known = dict.fromkeys(group.partition for group in groups)
    for name in names:
        if name not in known:
            raise UsageError(f"There is no Slurm partition {name!r}.", f"There are {', '.join(known)}.")
    if not names:
        there = ", ".join(known) or "none at all"
        raise UsageError("The cluster has no default partition.", f"Name one as --slurm-partition; there are {there}.")
    return [group for group in groups if group.partition in names]


def check_resources(groups: Sequence[NodeGroup], options: JobOptions) -> None:
    """Refuse what no node has: Slurm would let such a job wait for ever.

    Args:
        groups: The nodes that jobs may be on.
        options: What each job asks for.

    Raises:
        UsageError: With what there is.
    """
    where = "partition " + ", ".join(dict.fromkeys(group.partition for group in groups))
    kind, gpus = parse_gpus(found) if (found := options.choose_gpus()) else ("", 0)
    memory = parse_memory(options.memory) if options.memory else 0.0
    most = max(group.cores for group in groups)
    if options.cpus > most:
        raise UsageError(
            f"No node of {where} has {options.cpus} cores.", f"The largest has {most}: --slurm-cpus {most}."
        )
    largest = max(group.memory for group in groups)
    if memory > largest:
        raise UsageError(
            f"No node of {where} has {options.memory} of memory.",
            f"The largest has {largest} MiB: --slurm-memory {largest}.",
        )
    if gpus > max(group.count_gpus(kind) for group in groups):
        there = ", ".join(dict.fromkeys(group.gpus for group in groups if "gpu" in group.gpus)) or "none"
        raise UsageError(f"No node of {where} has the GPUs {found}.", f"Slurm lists there: {there}.")
    if not any(
        group.cores >= options.cpus and group.memory >= memory and group.count_gpus(kind) >= gpus for group in groups
    ):
        raise UsageError(
            f"No node of {where} has {options.cpus} cores, {options.memory or 'that memory'} and the GPUs "
            f"{found or 'none'} at once.",
            "Ask for less of one; `sinfo -o '%P %c %m %G'` lists what there is.",
        )
    _check_time(groups, options, where)


def _check_time(groups: Sequence[NodeGroup], options: JobOptions, where: str) -> None:
    limits = [group.longest for group in groups]
    if options.time is None or None in limits:
        return
    longest = max(limit for limit in limits if limit is not None)
    if parse_time(options.time) > longest:
        raise UsageError(
            f"The jobs of {where} may take {longest / 60:g} minutes at most, and --slurm-time is {options.time}.",
            f"Use --slurm-time {longest / 60:.0f}: a run must fit into that.",
        )


def find_limit(groups: Sequence[NodeGroup], options: JobOptions) -> float | None:
    """Return the seconds that a job has at least; None for no limit."""
    if options.time is not None:
        return parse_time(options.time)
    return min((group.usual for group in groups if group.usual is not None), default=None)

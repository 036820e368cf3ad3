"""All groups of options, and those that launchers bring along."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, create_model

from multistage.options.local import LocalOptions
from multistage.options.modal import ModalOptions
from multistage.options.option import Declared, Options, list_options, list_parts
from multistage.options.running import ApprovalOptions, ForeignOptions, NotifyOptions, WorkerOptions
from multistage.options.search import (
    FolderOptions,
    MetricOptions,
    ProgramOptions,
    ResumeOptions,
    SearchOptions,
    SingleOptions,
    SubjectOptions,
    SweepFileOptions,
    TrackerOptions,
)
from multistage.options.slurm import SlurmOptions
from multistage.options.ssh import SshOptions

Groups = tuple[type[Options], ...]

LAUNCHERS: Mapping[str, type[Options]] = MappingProxyType(
    {"local": LocalOptions, "modal": ModalOptions, "slurm": SlurmOptions, "ssh": SshOptions}
)
"""What the launchers that come with this package bring along; flags, file and flow take it by its own names."""

GROUPS: Groups = (
    SubjectOptions,
    SweepFileOptions,
    SearchOptions,
    ApprovalOptions,
    MetricOptions,
    ProgramOptions,
    TrackerOptions,
    FolderOptions,
    ResumeOptions,
    NotifyOptions,
    WorkerOptions,
    *LAUNCHERS.values(),
)
"""Of a sweep in stages."""
SINGLE_GROUPS: Groups = (
    *(group for group in GROUPS if not group.stages_only or group is SweepFileOptions),
    SingleOptions,
)
"""Of a W&B sweep that is run as it is."""


def compose_groups(groups: Groups, foreign: Mapping[str, type[Options]]) -> Groups:
    """Add the options of launchers from other packages, under each one's name as their prefix.

    Args:
        groups: Those that are there.
        foreign: By the launcher's name: its options.
    """
    if not foreign:
        return groups
    declared = next(one for one in list_options(WorkerOptions) if one.name == "launcher")
    known = replace(declared.option, choices=(*declared.option.choices, *foreign))
    workers = create_model(
        "WorkerOptions",
        __base__=WorkerOptions,
        __module__=__name__,
        launcher=(Annotated[str, known], Field(default=declared.default, description=declared.help)),
    )
    own = [_prefix(name, options) for name, options in foreign.items()]
    return (*(workers if group is WorkerOptions else group for group in groups), *own)


def _prefix(name: str, options: type[Options]) -> type[Options]:
    group: type[Options] = create_model(
        f"Options of {name}",
        __base__=Options,
        __module__=__name__,
        __doc__=options.__doc__,
        **{name: (options, Field(default_factory=options, description=options.__doc__))},  # type: ignore[call-overload]
    )
    group.title, group.mark, group.only_with = f"Trainings on {name}", name, name
    group.where = f"with {name}"
    return group


def list_all(groups: Groups = GROUPS) -> Iterator[Declared]:
    """List every option, those under a prefix by themselves."""
    for declared in list_options(*groups):
        yield from list_parts(declared)


FLOW_GROUPS: Groups = (*GROUPS, SingleOptions, ForeignOptions)
"""Of either flow."""

OPTIONS: Mapping[str, Declared] = MappingProxyType({option.name: option for option in list_options(*FLOW_GROUPS)})
"""By name, those under a prefix as one."""


def list_names(**marks: Any) -> tuple[str, ...]:
    """List the options of which an `Option` says something, such as ``told=True``; all where nothing is asked."""
    found = OPTIONS.values()
    return tuple(one.name for one in found if all(getattr(one.option, mark) == marks[mark] for mark in marks))


def list_idle(launcher: str, groups: Groups = GROUPS) -> tuple[str, ...]:
    """List the options that mean nothing with a launcher, since they are another one's."""
    return tuple(
        one.name
        for one in list_options(*groups)
        if one.group.only_with not in (None, launcher) and launcher not in one.option.also_with
    )


FILE_SAYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: one.option.file_says for name, one in OPTIONS.items() if one.option.file_says}
)
"""What a W&B sweep file says of a sweep, and under which of its keys."""

RIVALS: Mapping[str, str] = MappingProxyType(
    {name: one.option.rival for name, one in OPTIONS.items() if one.option.rival is not None}
)
"""What says the same in other words: the nearer one is meant."""

SETTLED: Mapping[str, str] = MappingProxyType(
    {one.option.settles: name for name, one in OPTIONS.items() if one.option.settles is not None}
)
"""What makes a sweep what it is: by setting, the option that says it."""

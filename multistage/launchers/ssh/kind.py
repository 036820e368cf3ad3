"""What a sweep on hosts that ssh reaches needs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from multistage.domain.sweep.account import Account
from multistage.domain.sweep.budget import bound_workers, parse_split
from multistage.domain.sweep.plan import RunOptions, RunRequest, SweepPlan, SweepSettings
from multistage.domain.sweep.request import SweepRequest
from multistage.domain.workers.variables import is_loopback
from multistage.errors import CloudAwayError, LaunchError, UsageError
from multistage.installation import Look, read_version
from multistage.launchers.base import Assignment, LauncherKind, Traits
from multistage.launchers.gpus import Gpus
from multistage.launchers.ssh.connection import Connection
from multistage.launchers.ssh.errand import Errand, Needs, choose_gpus, find_needs, read_hosts
from multistage.launchers.ssh.launcher import TRAITS, SshLauncher, ask_at_once
from multistage.launchers.ssh.records import NAME, HostPlace
from multistage.launchers.ssh.refusals import RefusalError
from multistage.options.ssh import Host, HostOptions, parse_hosts
from multistage.training.catalogue import find_bundled
from multistage.wandb_client.surroundings import review_training

Survey = Mapping[str, Any]


class SshKind(LauncherKind):
    """Workers on other hosts."""

    name = NAME
    subject = "ssh"

    @property
    def traits(self) -> Traits:
        """They cost nothing, and reach what listens on this machine by a way of their own."""
        return TRAITS

    def open(self, assignment: Assignment) -> SshLauncher:
        """Open a launcher that starts a sweep's workers."""
        settings, options = assignment.settings, assignment.options
        needs, logs = _find_needs(settings, options), assignment.logs.absolute()
        errand = Errand(
            hosts=read_hosts(options),
            needs=needs,
            folder=str(logs) if needs.is_shared else f"{needs.directory}/.multistage/{logs.parent.name}",
            variables=assignment.server,
            idle=options.worker_idle,
            list_workers=assignment.list_workers,
        )
        return SshLauncher(logs, errand)

    def attend(self, logs: Path) -> SshLauncher:
        """Open a launcher that watches and ends workers."""
        return SshLauncher(logs)

    def count_workers(self, request: SweepRequest, requested: RunRequest, is_bundled: bool) -> int:
        """Count the workers that hosts have, of which none would have nothing to do."""
        there = sum(host.seats for host in read_hosts(requested))
        return bound_workers(there, request.budget, parse_split(request.split))

    def check(self, plan: SweepPlan, options: RunOptions) -> None:
        """Refuse hosts that let nobody in, or lack what trainings need; one that is away is waited for."""
        hosts = read_hosts(options)
        there = sum(host.seats for host in hosts)
        if options.workers > there:
            raise UsageError(
                f"--hosts has {there} workers, and --workers asks for {options.workers}.",
                f"Give a host more of them: --hosts {hosts[0].address}:{hosts[0].seats + options.workers - there}.",
            )
        if options.resumable and options.ssh.directory is not None:
            raise UsageError(
                "--resumable needs a folder that all hosts share, and with --ssh-directory each has its own.",
                "Leave one of them out.",
            )
        found = _survey(plan.settings, options)
        if all(isinstance(told, CloudAwayError) for told in found.values()):
            raise _refuse(next(iter(found.values())))
        for host, told in found.items():
            if isinstance(told, LaunchError):
                if isinstance(told, RefusalError) or not isinstance(told, CloudAwayError):
                    raise _refuse(told)
            else:
                needs = _find_needs(plan.settings, options)
                _check_host(host, told, needs.python, needs.gpus_per_run)

    def review(
        self, settings: SweepSettings, options: RunOptions, account: Account, environment: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Say what of the user's files trainings do not get, and which hosts are away."""
        found = _survey(settings, options)
        away = [f"{told.message} It is waited for." for told in found.values() if isinstance(told, LaunchError)]
        return (*review_training(settings, options.directory, account, environment), *away)

    def describe(self, settings: SweepSettings, options: RunOptions) -> tuple[str, ...]:
        """Say what hosts have."""
        return tuple(
            f"The host {host.address}: {_count(host.seats)}, {_describe_gpus(told)}."
            for host, told in _survey(settings, options).items()
            if not isinstance(told, LaunchError)
        )

    def examine(self) -> Iterator[Look]:
        """Look for ssh."""
        if shutil.which("ssh") is None:
            yield "note", "There is no ssh on this machine. Only --launcher ssh needs it.", "Install OpenSSH's client."
            return
        done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False)
        yield "good", f"{(done.stderr or done.stdout).strip()}; `--hosts` names where to train with --launcher ssh", ""

    def examine_named(self, named: Mapping[str, Any], directory: Path) -> Iterator[Look]:
        """Ask the hosts that the settings name what they have."""
        if named.get("hosts") is None or shutil.which("ssh") is None:
            return
        own, hosts = HostOptions.model_validate(named.get("ssh", {})), parse_hosts(named["hosts"])
        interpreter = str(named["python"]) if named.get("python") else None
        where, python = own.directory or str(directory.absolute()), own.worker_python or sys.executable
        order = json.dumps({"directory": where, "program": None, "command": [], "interpreter": interpreter})

        def ask(host: Host) -> Survey | LaunchError:
            try:
                return _ask(host.address, python, order, True)
            except LaunchError as error:
                return error

        for host, told in zip(hosts, ask_at_once(ask, hosts), strict=True):
            yield _judge(host, told, python)


def _judge(host: Host, told: Survey | LaunchError, python: str) -> Look:
    """Return what the doctor says of a host; one that is away is waited for."""
    if isinstance(told, LaunchError):
        is_away = isinstance(told, CloudAwayError) and not isinstance(told, RefusalError)
        return "note" if is_away else "bad", told.message, told.hint
    try:
        _check_host(host, told, python, 0)
    except UsageError as error:
        return "bad", error.message, error.hint
    return "good", f"the host {host.address}: {_count(host.seats)}, {_describe_gpus(told)}", ""


def _find_needs(settings: SweepSettings, options: RunOptions) -> Needs:
    return find_needs(settings, options, sys.executable, options.directory, find_bundled(settings) is not None)


def _survey(settings: SweepSettings, options: RunOptions) -> dict[Host, Survey | LaunchError]:
    """Ask all hosts what they have; once a process each, unless one did not answer."""
    needs, hosts = _find_needs(settings, options), read_hosts(options)
    order = json.dumps(needs.order)
    tests_way_back = settings.server is None or is_loopback(settings.server)

    def ask(host: Host) -> Survey | LaunchError:
        try:
            return _ask(host.address, needs.python, order, tests_way_back)
        except LaunchError as error:
            return error

    return dict(zip(hosts, ask_at_once(ask, hosts), strict=True))


@cache
def _ask(host: str, python: str, order: str, tests_way_back: bool) -> Survey:
    place = HostPlace(host=host, python=python, folder="", is_shared=False)
    return Connection(place).survey(tests_way_back, **json.loads(order))


def _check_host(host: Host, told: Survey, python: str, gpus_per_run: float | None) -> None:
    """Refuse a host of another release, or without what trainings need."""
    if told["version"] != read_version():
        raise UsageError(
            f"The host {host.address} has multistage-sweep {told['version']}, and this machine {read_version()}.",
            f"Install the same there: {python} -m pip install --no-deps multistage-sweep=={read_version()}.",
        )
    if "fault" in told:
        message, hint = told["fault"]
        raise UsageError(f"On the host {host.address}: {message}", hint)
    if told["gpus"] is not None:
        try:
            choose_gpus(Gpus.model_validate(told["gpus"]), host, 0, gpus_per_run)
        except UsageError as error:
            raise UsageError(f"On the host {host.address}: {error.message}", error.hint) from error


def _refuse(told: Survey | LaunchError) -> UsageError:
    assert isinstance(told, LaunchError)  # noqa: S101 - only those are refused
    return UsageError(told.message, told.hint)


def _describe_gpus(told: Survey) -> str:
    return "GPUs not counted" if told["gpus"] is None else f"{Gpus.model_validate(told['gpus']).describe()} found"


def _count(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"

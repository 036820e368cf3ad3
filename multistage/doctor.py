"""Looks whether a sweep could run here tonight; starts nothing, changes nothing, shows no secret.

Whether the packages are there, `installation` has looked before this module can be imported.
"""

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from multistage.domain.workers.variables import NOTIFY_PREFIX, list_proxies
from multistage.errors import MissingExtraError, MultistageError
from multistage.installation import Finding, Look, Verdict
from multistage.launchers.registry import find_kind, list_groups, list_launchers
from multistage.options.refusal import VARIABLE_PREFIX
from multistage.request.sources.precedence import (
    SETTINGS_VARIABLE,
    find_runs_dir,
    find_settings_file,
    list_settings,
    read_settings_file,
    read_variables,
)
from multistage.request.sources.settings_file import SETTINGS_FILE, build_preferences
from multistage.services.deployments import list_deployments
from multistage.services.embedded import build_wandb_service, find_wandb_server
from multistage.services.local_service import LocalService, find_free_port, is_free
from multistage.services.prefect import (
    PrefectServer,
    build_prefect_service,
    check_reachable,
    find_prefect_server,
    lets_everyone_in,
)
from multistage.services.prefect_worker import build_worker_service
from multistage.settings import Settings
from multistage.spelling import suggest
from multistage.training.catalogue import TRAINERS
from multistage.wandb_client.login import find_credentials, open_account
from multistage.wandb_client.surroundings import review_surroundings
from multistage.worker.conventions import (
    CHECKPOINT_VARIABLE,
    CHECKPOINTS_VARIABLE,
    NEAR_VARIABLE,
    RUN_LOGS_VARIABLE,
    WORKER_VARIABLE,
)
from multistage.worker.interpreter import INTERPRETER_VARIABLE, inspect_interpreter

SCARCE, FULL = 2.0, 0.2
"""GB of free disk below which it is worth knowing, and below which a sweep would fail."""
OWN_VARIABLES = (
    *(WORKER_VARIABLE, RUN_LOGS_VARIABLE, INTERPRETER_VARIABLE),
    *(CHECKPOINTS_VARIABLE, CHECKPOINT_VARIABLE, NEAR_VARIABLE),
)
"""Set by this project itself."""
ANSWER_TIMEOUT = 10.0
"""Seconds that a server has to tell its version."""


def examine(directory: Path, settings: Settings, python: Path | None = None) -> Iterator[Finding]:
    """Look at everything that a sweep needs, one after the other.

    Args:
        directory: Where sweeps would be started.
        settings: Where this installation keeps its things.
        python: An interpreter of trainings; those of the settings by default.
    """
    environment = dict(os.environ)
    looks: dict[str, Callable[[], Iterator[Look]]] = {
        "trainers": look_at_trainers,
        "settings": lambda: _look_at_settings(directory),
        "environment": lambda: _look_at_environment(directory, environment),
        "trainings' Python": lambda: _look_at_interpreters(directory, python),
        "disk": lambda: _look_at_disk(directory, settings),
        "W&B": _look_at_account,
        "embedded server": lambda: _look_at_embedded(settings),
        "Prefect": lambda: _look_at_prefect(settings),
    }
    for name in list_launchers():
        looks |= _find_look(name, directory)
    for subject, look in looks.items():
        try:
            for verdict, what, remedy in look():
                yield Finding(subject=subject, verdict=verdict, what=what, remedy=remedy)
        except MultistageError as error:
            yield Finding(subject=subject, verdict="bad", what=error.message, remedy=error.hint)


def look_at_trainers() -> Iterator[Look]:
    """Return which bundled trainers can train, and the extras of those that cannot."""
    for trainer in TRAINERS.values():
        try:
            trainer.check_extra()
        except MissingExtraError as error:
            yield "note", error.message, error.hint
        else:
            yield "good", trainer.config_id, ""


def _look_at_settings(directory: Path) -> Iterator[Look]:
    read_variables()
    known = build_preferences(list_groups()).model_fields
    unknown = sorted(name for name in os.environ if name.startswith(VARIABLE_PREFIX) and not _is_variable(name))
    for name in unknown:
        meant = suggest(name, [f"{VARIABLE_PREFIX}{key.upper()}" for key in known])
        yield "note", f"{name} is not a variable of multistage-sweep.", meant.strip()
    path = find_settings_file(directory)
    file = read_settings_file(path)
    named = f", with {', '.join(file.configs)}" if file.configs else ""
    yield "good", f"{path}{named}" if path else f"no {SETTINGS_FILE} here, so the defaults", ""


def _is_variable(name: str) -> bool:
    key = name.removeprefix(VARIABLE_PREFIX).partition("__")[0].lower()
    keys = {*build_preferences(list_groups()).model_fields, *Settings.model_fields}
    return name in (SETTINGS_VARIABLE, *OWN_VARIABLES) or key in keys or name.startswith(NOTIFY_PREFIX)


def _look_at_environment(directory: Path, environment: Mapping[str, str]) -> Iterator[Look]:
    """Look for what would lead runs, or requests to this machine, astray."""
    found = find_credentials()
    for note in review_surroundings(directory, None, found[0] if found else None, environment):
        yield "note", note, "Remove it, to be safe."
    proxies = ", ".join(list_proxies(environment))
    if proxies:
        yield "good", f"{proxies} set; this machine's own services are reached past any proxy", ""
    else:
        yield "good", "no proxy", ""


def _look_at_interpreters(directory: Path, given: Path | None) -> Iterator[Look]:
    file = read_settings_file(find_settings_file(directory))
    told = (one.list_given().get("python") for one in (read_variables(), file, *file.configs.values()))
    wanted = [given] if given else list(dict.fromkeys(path for path in told if path))
    for path in wanted:
        yield "good", inspect_interpreter(directory / path).describe(), ""
    if not wanted:
        yield "good", f"this one, {sys.executable}, unless --python names another", ""


def _look_at_disk(directory: Path, settings: Settings) -> Iterator[Look]:
    places = {"services": settings.home.absolute(), "sweeps": (directory / find_runs_dir(directory)).absolute()}
    for name, place in places.items():
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        if not os.access(there, os.W_OK):
            option = "MULTISTAGE_HOME" if name == "services" else "--runs-dir"
            yield "bad", f"{there}, where the {name} lie, cannot be written.", f"Name another place: {option}."
            continue
        free = shutil.disk_usage(there).free / 1e9
        verdict: Verdict = "bad" if free < FULL else "note" if free < SCARCE else "good"
        yield verdict, f"{free:.1f} GB free for the {name} in {place}", "" if verdict == "good" else "Free some space."


def _look_at_account() -> Iterator[Look]:
    found = find_credentials()
    if found is None:
        yield "note", "The wandb client is not logged in; the embedded server is used.", "`wandb login`, to use W&B."
        return
    try:
        with urllib.request.urlopen(found[0], timeout=ANSWER_TIMEOUT):  # noqa: S310
            pass
    except urllib.error.HTTPError:
        pass  # whatever it says, it is there
    except (OSError, ValueError) as error:
        hint = "Look at WANDB_BASE_URL, at the network, and at https://status.wandb.com."
        yield "bad", f"{found[0]} does not answer: {getattr(error, 'reason', error)}.", hint
        return
    account = open_account("wandb")
    engine = "takes configs of this search" if account.can_enqueue else "searches by its own engine"
    yield "good", f"{account.base_url} as {account.entity}, since {found[2]}; it {engine}", ""


def _look_at_embedded(settings: Settings) -> Iterator[Look]:
    running = find_wandb_server(settings)
    if running is not None:
        yield "good", f"runs at {running.url}", ""
    else:
        yield _look_at_port(build_wandb_service(settings))


def _look_at_port(service: LocalService) -> Look:
    """Return whether a service that does not run could listen."""
    try:
        find_free_port()
    except OSError as error:
        return (
            "bad",
            f"Nothing can listen on 127.0.0.1: {error}.",
            "Look at this machine's network.",
        )
    record = service.read_record()
    if record is not None and not is_free(record.port):
        return "note", f"Another program has its port {record.port}; it will take another.", ""
    return "good", "does not run; a sweep starts it", ""


def _look_at_prefect(settings: Settings) -> Iterator[Look]:
    server = find_prefect_server(settings)
    if server is None:
        yield _look_at_port(build_prefect_service(settings))
        return
    check_reachable(server.api_url)
    theirs, ours = _ask_version(server), version("prefect")
    if server.pid is not None and theirs is None:
        told = f"The server at {server.ui_url} does not take the key in {settings.prefect_key}."
        yield "bad", told, "`multistage-sweep down`, then `up`."
        return
    if server.pid is not None and lets_everyone_in(server.api_url):
        told = f"The server at {server.ui_url} is open to everyone on this machine; an older release started it."
        yield "note", told, "`multistage-sweep up`, once no sweep is live, restarts it."
    if theirs is not None and theirs.split(".")[:2] != ours.split(".")[:2]:
        yield (
            "note",
            f"The server at {server.api_url} is {theirs}, and this client {ours}.",
            "Update the older one." if server.pid is None else "`multistage-sweep down`, then `up`.",
        )
        return
    whose = "configured server" if server.pid is None else "runs"
    yield "good", f"{whose} at {server.ui_url}" + (f", {theirs}" if theirs else ""), ""
    if server.pid is not None:
        yield from look_at_deployments(server, settings)


def look_at_deployments(server: PrefectServer, settings: Settings) -> Iterator[Look]:
    """Return which deployments cannot run any more, and whether anything would run the others.

    Args:
        server: The user's own Prefect server.
        settings: Where its worker's folder is.
    """
    found = list_deployments(server)
    for one in found:
        if fault := one.find_fault():
            where = f"in {one.folder}" if one.folder else "in its folder"
            remedy = f"Deploy it again {where}, or `multistage-sweep deploy --remove {one.name}`."
            yield "note", f"The deployment {one.name}: {fault}.", remedy
    if found and build_worker_service(settings).find() is None:
        yield "note", f"No worker serves the {len(found)} deployments.", "`multistage-sweep up --worker`"


def _ask_version(server: PrefectServer) -> str | None:
    """Ask a server for its version; None where it does not tell, as Prefect Cloud."""
    request = urllib.request.Request(f"{server.api_url}/admin/version")  # noqa: S310
    if server.secret is not None:
        request.add_header("Authorization", f"Basic {b64encode(server.secret.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT) as response:  # noqa: S310
            return str(json.load(response))
    except (OSError, ValueError):
        return None


def _find_look(launcher: str, directory: Path) -> dict[str, Callable[[], Iterator[Look]]]:
    """Return what a launcher looks at, and its look; one that cannot be loaded is told under its name."""
    try:
        kind = find_kind(launcher)
    except MultistageError as error:
        finding: Look = ("bad", error.message, error.hint)
        return {launcher: lambda: iter([finding])}

    def look() -> Iterator[Look]:
        yield from kind.examine()
        told = (found for named in list_settings(directory) for found in kind.examine_named(named, directory))
        yield from dict.fromkeys(told)

    return {kind.subject: look}

"""The public functions."""

import json
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from yaml.representer import RepresenterError

from multistage.errors import UsageError
from multistage.launchers.registry import find_kind
from multistage.library.command import run_command, write_flags
from multistage.library.functions import RUNNER, name_function, save_function
from multistage.library.plain_values import make_plain
from multistage.library.result import Result
from multistage.request.sources.precedence import list_runs_dirs
from multistage.store.sweep_folder import find_folder

Config = dict[str, Any]
Trains = Callable[[Config], Any] | str | os.PathLike[str]
Params = str | Mapping[str, Any]
FUNCTION_METRIC = "value"
"""What a function's number is logged as where no metric is named."""


def sweep(
    trains: Trains,
    params: Params,
    *,
    budget: int | None = None,
    metric: str | None = None,
    goal: Literal["maximize", "minimize"] | None = None,
    name: str | None = None,
    workers: int | None = None,
    seed: int | None = None,
    quiet: bool = False,
    **options: Any,
) -> Result:
    """Find good hyperparameters in three stages of training runs; returns when the sweep has ended.

    Args:
        trains: A function of one config (a dict), which returns a number or logs to W&B by itself; a path to a
            training script (``"train.py"``); or the id of a bundled trainer (``"digits:mlp"``). A function is trained
            in processes of this machine, with the current interpreter, never in the caller's.
        params: What is searched, as `--params` has it (``"lr:log:1e-5-1e-1,width:int:16-256"``), or as a dict: a pair
            ``(min, max)``, a list of choices, or what W&B's ``parameters`` take for each name.
        budget: Training runs in all; 500 by default.
        metric: Logged key to optimize. A function needs none where it returns a number.
        goal: Which way is better; ``"maximize"`` by default.
        name: The sweep's name and folder.
        workers: Trainings at once.
        seed: Makes the search reproducible.
        quiet: Whether to print nothing.
        **options: Every other option of docs/options.md, by its name: ``stage_deadline=3600``.

    Returns:
        The result.

    Raises:
        UsageError: Something cannot be as it was asked for; nothing was started.
        MultistageError: The sweep failed; `resume` goes on with it.
        KeyboardInterrupt: It was interrupted; `resume` goes on with it.
    """
    common = {"budget": budget, "metric": metric, "goal": goal, "name": name, "workers": workers, "seed": seed}
    with tempfile.TemporaryDirectory() as scratch:
        arguments = _ask_for(trains, params, {**common, **options}, Path(scratch))
        told = run_command(("run", *arguments, "--json"), _say(quiet))
    return _load(json.loads(told)["name"], options)


def plan(trains: Trains, params: Params, **options: Any) -> str:
    """Return what a sweep would run, how long that takes, and what to double-check; start nothing.

    Args:
        trains: As `sweep` takes it.
        params: As `sweep` takes it.
        **options: All other arguments of `sweep`.

    Raises:
        UsageError: Something cannot be as it was asked for.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return run_command(("plan", *_ask_for(trains, params, options, Path(scratch))), lambda _: None)


def resume(name: str | os.PathLike[str], *, quiet: bool = False, **options: Any) -> Result:
    """Resume a sweep that ended before its budget was used.

    Args:
        name: The sweep's name, its folder or its ``state.json``.
        quiet: Whether to print nothing.
        **options: What to change: workers and where it runs, never what the sweep is.

    Raises:
        UsageError: There is no such sweep, or the options would change what it is.
        MultistageError: The sweep failed.
        KeyboardInterrupt: It was interrupted.
    """
    run_command(("resume", os.fspath(name), *write_flags(options), "--json"), _say(quiet))
    return _load(name, options)


def load(
    name: str | os.PathLike[str],
    *,
    runs_dir: str | os.PathLike[str] | None = None,
    settings: str | os.PathLike[str] | None = None,
) -> Result:
    """Return the result of a sweep that ran before, or runs now.

    Args:
        name: The sweep's name, its folder or its ``state.json``.
        runs_dir: Where the sweeps' folders lie; ``runs``, or as the settings file has it, by default.
        settings: Another settings file than the current folder's.

    Raises:
        FolderError: There is no such sweep.
        UsageError: The settings file is not there, or makes no sense.
    """
    return _load(name, {"runs_dir": runs_dir, "settings": settings})


def _load(name: str | os.PathLike[str], options: Mapping[str, Any]) -> Result:
    return Result(find_folder(os.fspath(name), *_list_places(options)).path)


def _ask_for(trains: Trains, params: Params, options: Mapping[str, Any], scratch: Path) -> list[str]:
    """Write what is asked for as the command line's arguments."""
    given, file = dict(options), dict[str, Any]()
    config_id: str
    if isinstance(trains, str) and not trains.endswith(".py"):
        config_id = trains
    elif isinstance(trains, str | os.PathLike):
        config_id, given["program"] = Path(trains).stem, os.fspath(trains)
    else:
        _refuse_elsewhere(given)
        config_id = name_function(trains)
        given["metric"] = given.get("metric") or FUNCTION_METRIC
        saved = save_function(trains, _list_places(given)[0])
        start = ["${env}", "${interpreter}", "-m", RUNNER, str(saved), given["metric"]]
        if isinstance(params, str):
            given["command"] = shlex.join(start)
        else:
            file["command"] = start
    if isinstance(params, str):
        return [config_id, f"--params={params}", *write_flags(given)]
    path = scratch / "sweep.yaml"
    path.write_text(_write_yaml(file | _describe_search(params)))
    return [config_id, f"--sweep-file={path}", *write_flags(given)]


def _refuse_elsewhere(options: Mapping[str, Any]) -> None:
    for name in ("python", "program", "command", "style"):
        if options.get(name) is not None:
            raise UsageError(f"A function takes no {name}.", "It is called by this interpreter.")
    launcher = options.get("launcher")
    if launcher is not None and not find_kind(launcher).traits.sees_files:
        raise UsageError("A function is trained on this machine.", "Put it into a script to train it elsewhere.")


def _list_places(options: Mapping[str, Any]) -> tuple[Path, ...]:
    """List where sweeps' folders may lie, as the options name it or the settings file that they name."""
    asked, settings = options.get("runs_dir"), options.get("settings")
    if asked is not None:
        return (Path(asked),)
    return list_runs_dirs(Path.cwd(), None if settings is None else Path(settings))


def _describe_search(params: Mapping[str, Any]) -> dict[str, Any]:
    described = {str(name): _describe(str(name), make_plain(asked)) for name, asked in params.items()}
    return {"method": "random", "parameters": described}


def _describe(name: str, asked: Any) -> Any:
    match asked:
        case Mapping():
            return dict(asked)
        case (low, high) if isinstance(asked, tuple):
            return {"min": low, "max": high}
        case list() | set():
            return {"values": list(asked)}
    raise UsageError(
        f"The range of {name} cannot be {asked!r:.100}.",
        "Give a pair (min, max), a list of choices, or what W&B's `parameters` take.",
    )


def _write_yaml(content: Mapping[str, Any]) -> str:
    try:
        return yaml.safe_dump(dict(content))
    except RepresenterError as error:
        raise UsageError(
            f"A range cannot hold {error.args[-1]!r:.100}, which is no plain value.", "Give numbers, texts, booleans."
        ) from error


def _say(quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if quiet else print

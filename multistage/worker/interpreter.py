"""The interpreter that trainings get where it is another than the worker's own."""

import json
import os
import subprocess
from collections.abc import MutableMapping
from pathlib import Path
from tempfile import gettempdir

from packaging.version import Version

from multistage.domain.model import Model
from multistage.domain.workers.variables import withhold_secrets
from multistage.errors import UsageError

INTERPRETER_VARIABLE = "MULTISTAGE_INTERPRETER"
"""The trainings' interpreter for a worker, as JSON of `Interpreter`."""
OLDEST_WANDB = Version("0.26")
"""Of the client in the trainings' interpreter."""
ANSWER_TIMEOUT = 60
"""Seconds that an interpreter has to say what it is; a cold network disk is slow."""
FOREIGN = ("CONDA_DEFAULT_ENV", "CONDA_PREFIX", "CONDA_PROMPT_MODIFIER", "PYTHONHOME", "VIRTUAL_ENV",
           "VIRTUAL_ENV_PROMPT", "__PYVENV_LAUNCHER__")  # fmt: skip
"""What says of an environment that it is another's."""
_QUESTION = """
import json, platform, sys
try:
    from importlib.metadata import version
    wandb = version("wandb")
except Exception:
    wandb = None
print(json.dumps({"version": platform.python_version(), "prefix": sys.prefix, "base_prefix": sys.base_prefix,
                  "wandb": wandb}))
"""


class Interpreter(Model):
    """A Python, as it describes itself.

    Args:
        path: Where it is; links are kept, since a virtual environment's Python is one.
        version: Such as ``3.10.13``.
        prefix: Its environment's folder.
        base_prefix: The folder of the Python below a virtual environment; else the same.
        wandb: The version of its W&B client; None where it has none.
    """

    path: Path
    version: str
    prefix: Path
    base_prefix: Path
    wandb: str | None

    def describe(self) -> str:
        """Say in a clause which it is."""
        return f"{self.path}, Python {self.version} with wandb {self.wandb}"


def locate_interpreter(path: Path) -> Path:
    """Return an interpreter's path: a virtual or conda environment's folder stands for its Python."""
    return path.absolute() / "bin" / "python" if path.is_dir() else path.absolute()


def inspect_interpreter(path: Path) -> Interpreter:
    """Ask an interpreter what it is.

    Args:
        path: Of it, or of its environment's folder.

    Raises:
        UsageError: It is none, or its W&B client is missing or too old.
    """
    located = locate_interpreter(path)
    environment = dict(os.environ)
    withhold_secrets(environment)
    for name in FOREIGN:
        environment.pop(name, None)
    try:
        done = subprocess.run(
            [located, "-c", _QUESTION],
            env=environment,
            cwd=gettempdir(),  # not here: a local folder wandb/ would pass for the package
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_TIMEOUT,
            check=False,
        )
        found = Interpreter.model_validate({**json.loads(done.stdout), "path": located})
    except (OSError, subprocess.TimeoutExpired, ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is not a Python interpreter.", "Give --python one, such as .venv/bin/python."
        ) from error
    return _check_client(found)


def _check_client(found: Interpreter) -> Interpreter:
    remedy = f"Install one: {found.path} -m pip install 'wandb>={OLDEST_WANDB}'."
    if found.wandb is None:
        raise UsageError(f"The interpreter {found.path} lacks wandb, with which trainings report.", remedy)
    if Version(found.wandb) < OLDEST_WANDB:
        raise UsageError(f"The interpreter {found.path} has wandb {found.wandb}, older than {OLDEST_WANDB}.", remedy)
    return found


def enter_interpreter(found: Interpreter, environment: MutableMapping[str, str], shims: Path, own: Path) -> None:
    """Make an environment that of an interpreter, as its activation would.

    Args:
        found: The interpreter.
        environment: Changed.
        shims: A folder in which it is called ``python`` where its own has none of that name.
        own: The folder of this process's own environment, whose modules are not to leak.
    """
    for name in FOREIGN:
        environment.pop(name, None)
    if found.prefix != found.base_prefix:
        environment["VIRTUAL_ENV"] = str(found.prefix)
    elif (found.prefix / "conda-meta").is_dir():
        environment.update(CONDA_PREFIX=str(found.prefix), CONDA_DEFAULT_ENV=found.prefix.name)
    modules = [one for one in environment.pop("PYTHONPATH", "").split(os.pathsep) if one]
    if kept := [module for module in modules if not Path(module).absolute().is_relative_to(own)]:
        environment["PYTHONPATH"] = os.pathsep.join(kept)
    folders = [str(found.path.parent), environment.get("PATH", os.defpath)]
    named = found.path.parent / "python"
    if not named.exists() or named.resolve() != found.path.resolve():
        folders.insert(0, str(_write_shim(found.path, shims)))
    environment["PATH"] = os.pathsep.join(folders)


def _write_shim(path: Path, folder: Path) -> Path:
    """Call an interpreter ``python``: no link, by which it would not find its environment."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    quoted = str(path).replace("'", "'\\''")
    temporary = folder / f".python-{os.getpid()}"
    temporary.write_text(f"#!/bin/sh\nexec '{quoted}' \"$@\"\n")
    temporary.chmod(0o700)
    temporary.replace(folder / "python")
    return folder

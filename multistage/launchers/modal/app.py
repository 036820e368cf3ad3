"""The app on Modal, and what its containers do: run a worker as on any machine, and leave no process behind.

Containers import this module, so it needs nothing but ``modal`` and the worker's own packages.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import modal
import modal.exception as refusals

from multistage.domain.model import Model
from multistage.worker.conventions import RUN_LOGS_VARIABLE, WORKER_VARIABLE

FUNCTION = "work"
SECRET = "wandb-secret"  # noqa: S105 - its name in Modal
SECRET_KEY = "WANDB_API_KEY"  # noqa: S105
NOTES = "multistage-sweep-workers"
"""The Modal dict in which workers note their call and how often it was started."""

MAX_STARTS = 3
"""Containers that one call may have: Modal gives a lost container's call to another one without end."""
LAST_CALL = 30.0
"""Seconds beyond its time after which a worker is ended with its training."""
PATIENCE = 10.0
"""Seconds from SIGTERM to SIGKILL."""
KEPT_LINES = 20
QUOTED_LINES = 5
QUOTED_RUNS = 20

WORKER_PACKAGES = ("wandb", "pydantic", "numpy", "psutil")
"""What a worker imports by itself."""
TRAINER_EXTRAS = ("atari", "digits", "rl")
"""The optional dependencies of all bundled trainers."""
IGNORED = (
    *("**/.git", "**/.venv", "**/venv", "**/__pycache__", "**/*.pyc", "**/.env", "**/.env.*", "**/.netrc"),
    *("**/node_modules", "wandb", "runs"),
)
"""Of a user's project: what never goes into the image."""

_RUN_ENDED = re.compile(r"--- run (\S+) exit code (-?\d+)")


class AppContent(Model):
    """What the image holds."""

    python: str
    requirements: tuple[str, ...]
    project_dir: Path | None = None

    def name_app(self) -> str:
        """Name the app by a hash of its code: a deployed app is never changed, and old workers keep theirs."""
        digest = hashlib.sha256(self.model_dump_json().encode())
        sources = Path(__file__).parents[2]
        for root, pattern in ((sources, "*.py"), (self.project_dir, "*")):
            for path in sorted(root.rglob(pattern)) if root else ():
                inside = path.relative_to(root or path)
                if path.is_file() and not is_ignored(inside):
                    digest.update(f"{inside}\0".encode())
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
        return f"multistage-sweep-{digest.hexdigest()[:12]}"


is_ignored = modal.FilePatternMatcher(*IGNORED)
"""Whether a file of a project, by its path inside, stays out of the image."""


def list_contents(extras: tuple[str, ...], project_dir: Path | None, python: str | None) -> tuple[AppContent, ...]:
    """List what the image of a sweep may hold: what it needs; or else what all bundled trainers need.

    The second is what ``modal deploy deployments/modal_app.py`` deploys.
    """
    exact = describe_content(extras, project_dir, python)
    if project_dir is not None:
        return (exact,)
    try:
        return (exact, describe_content(TRAINER_EXTRAS, python=python))
    except PackageNotFoundError:
        return (exact,)


def describe_content(extras: tuple[str, ...], project_dir: Path | None = None, python: str | None = None) -> AppContent:
    """Say what the image must hold: this environment's versions of the worker's and the trainers' packages.

    Args:
        extras: The optional dependencies that the trainers need, such as ``rl``.
        project_dir: The user's project.
        python: The image's Python, such as ``3.12``; this process's own by default.
    """
    names = [*WORKER_PACKAGES]
    for text in requires("multistage-sweep") or ():
        name = re.match(r"[\w.-]+", text)
        if name and any(f"extra == '{extra}'" in text.replace('"', "'") for extra in extras):
            names.append(name[0])
    # A local label such as +cpu is on no index.
    pins = tuple(f"{name}=={version(name).partition('+')[0]}" for name in dict.fromkeys(names))
    if project_dir is not None:  # whose own versions stand; only the agent must be this one
        pins = tuple(pin if pin.startswith(("wandb==", "pydantic==")) else pin.partition("==")[0] for pin in pins)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return AppContent(python=python or here, requirements=pins, project_dir=project_dir)


def build_image(content: AppContent) -> modal.Image:
    """Build the image: packages first, the code last, so that a change of code builds nothing again."""
    image = modal.Image.debian_slim(python_version=content.python)
    project = content.project_dir
    if project is not None:
        if (project / "uv.lock").is_file() and (project / "pyproject.toml").is_file():
            image = image.uv_sync(str(project))
        elif (project / "requirements.txt").is_file():
            image = image.uv_pip_install(requirements=[str(project / "requirements.txt")])
        elif (project / "pyproject.toml").is_file():
            image = image.pip_install_from_pyproject(str(project / "pyproject.toml"))
    image = image.uv_pip_install(*content.requirements)
    if project is not None:
        # Under its own path, so that the sweep's program is found here and there.
        image = image.add_local_dir(str(project), remote_path=str(project), ignore=list(IGNORED))
    return image.add_local_python_source("multistage")


def build_app(content: AppContent) -> modal.App:
    """Build the app; its containers' resources are set where it is called."""
    app = modal.App(content.name_app(), include_source=False)
    app.function(
        image=build_image(content),
        secrets=[modal.Secret.from_name(SECRET, required_keys=[SECRET_KEY])],
        name=FUNCTION,
        single_use_containers=True,
        retries=0,
        timeout=3600,
    )(work)
    return app


def open_notes() -> "modal.Dict":
    """Open the workers' notes; they vanish after a week without use."""
    return modal.Dict.from_name(NOTES, create_if_missing=True)


def take_note(worker_id: str, began: float) -> dict[str, Any]:
    """Note that a worker starts, in its container; what is cancelled is asked afterwards, so that no cancel is missed.

    Args:
        worker_id: The worker.
        began: Seconds since the epoch.
    """
    notes = open_notes()
    note = {"starts": 0, "first_start": began} | (notes.get(worker_id) or {})
    note |= {"starts": note["starts"] + 1, "call_id": modal.current_function_call_id()}
    notes.put(worker_id, note)
    return {**note, "cancelled": bool(notes.get(f"{worker_id} cancelled"))}


async def cancel_worker(notes: "modal.Dict", worker_id: str) -> str | None:
    """Find the call of a worker whose launcher died before it knew; one that has not started will end at once."""
    note = await notes.get.aio(worker_id)
    if note is None:
        await notes.put.aio(f"{worker_id} cancelled", True)
        note = await notes.get.aio(worker_id)
    return str(note["call_id"]) if note else None


def work(
    worker_id: str,
    sweep: str,
    *,
    base_url: str,
    idle: float,
    seconds: float,
    memory: float,
    max_runs: int | None = None,
    directory: str | None = None,
) -> dict[str, Any]:
    """Run a worker in this container. Safe to be started again with the same arguments, as after a preemption.

    Args:
        worker_id: Names the worker's note.
        sweep: ``entity/project/id``.
        base_url: The W&B server.
        idle: Seconds without a run after which the worker leaves.
        seconds: Time that the worker has, from its first start on.
        memory: GiB that the container has.
        max_runs: Runs that it may train.
        directory: Where trainings run, if it is there.

    Returns:
        Plain data: ``exit_code`` (None where no worker was started), ``tail`` of its output, ``failures`` (the last
        lines of failed runs by id), ``runs``, ``starts`` and ``seconds``, counted from its first start.
    """
    began = time.time()
    try:
        note = take_note(worker_id, began)
    except (refusals.Error, OSError) as error:  # raised, it would pass for the launcher's own trouble
        return _report({"starts": 1, "first_start": began}, None, [f"Modal's notes cannot be used: {error}"], {}, 0)
    left = seconds - (began - note["first_start"])
    if note["cancelled"] or note["starts"] > MAX_STARTS or left <= 0:
        reason = "It was cancelled before it began." if note["cancelled"] else "It ran out of time."
        if note["starts"] > MAX_STARTS:
            reason = f"Its container was lost {MAX_STARTS} times."
        return _report(note, None, [reason], {}, 0)
    logs = Path(tempfile.mkdtemp(prefix="runs-"))
    command = [
        *(sys.executable, "-P", "-m", "multistage.worker", "--sweep", sweep),
        *("--idle", str(idle), "--seconds", str(left), "--memory", str(memory)),
        *(("--max-runs", str(max_runs)) if max_runs else ()),
    ]
    places = {WORKER_VARIABLE: worker_id, RUN_LOGS_VARIABLE: str(logs), "WANDB_DIR": str(logs)}
    environment = {**os.environ, "WANDB_BASE_URL": base_url, **places}
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=directory if directory and Path(directory).is_dir() else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    alarm = threading.Timer(left + LAST_CALL, process.terminate)
    alarm.daemon = True
    alarm.start()
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    codes: dict[str, int] = {}
    try:
        for line in process.stdout or ():
            sys.stdout.write(line)
            tail.append(line.rstrip())
            if found := _RUN_ENDED.search(line):
                codes[found[1]] = int(found[2])
        exit_code = process.wait()
    finally:  # also after a cancel, which is an exception, and Ctrl+C, the warning of a preemption
        alarm.cancel()
        end_session(process)
        if process.stdout is not None:
            process.stdout.close()
    failed = [run_id for run_id, code in codes.items() if code != 0][:QUOTED_RUNS]
    return _report(note, exit_code, list(tail), {run_id: quote_log(logs, run_id) for run_id in failed}, len(codes))


def _report(
    note: dict[str, Any], exit_code: int | None, tail: list[str], failures: dict[str, str], runs: int
) -> dict[str, Any]:
    return {
        "exit_code": exit_code,
        "tail": tail,
        "failures": failures,
        "runs": runs,
        "starts": note["starts"],
        "seconds": time.time() - note["first_start"],
    }


def end_session(process: "subprocess.Popen[str]") -> None:
    """End a worker in order, then everything that is left of its session."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def quote_log(logs: Path, run_id: str) -> str:
    """Return the last lines that a run printed, wandb's own left out."""
    path = logs / f"{Path(run_id).name}.log"
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return "\n".join([line.rstrip()[:300] for line in lines if line.strip() and "wandb:" not in line][-QUOTED_LINES:])

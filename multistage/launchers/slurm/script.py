"""The script that every job of an array runs. Slurm keeps copies of it, so no secret is in it."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from multistage.worker.conventions import WORKER_VARIABLE

UNFIT = 3
"""Exit code of a job whose node lacks what it needs."""
SHARED = "it must be on a disk that all nodes share."
_HEAD = """\
#!/bin/bash
fail() { echo "$1"; exit %d; }
[ ! -e %s ] || exit 0
[ -r %s ] || fail "The node $(hostname) doesn't see the sweep's folder "%s": %s"
. %s
export %s=%s-$SLURM_ARRAY_TASK_ID
cd %s || fail "The node $(hostname) doesn't see the folder "%s": %s"
"""


def build_script(
    array: str,
    key_file: Path,
    mark: Path,
    folder: Path,
    directory: Path,
    setup: Sequence[str],
    arguments: Sequence[str],
    tunnel: str | None = None,
) -> str:
    """Build the script of an array.

    Args:
        array: Its name.
        key_file: Holds the variables that jobs need.
        mark: A file that is there once the array was cancelled, perhaps before it was submitted.
        folder: The sweep's, for messages.
        directory: Where trainings run.
        setup: Lines that come first.
        arguments: The worker's.
        tunnel: The way by which jobs reach the server; None where they do by themselves.
    """
    quoted = [shlex.quote(str(path)) for path in (mark, key_file, folder, directory)]
    mark_, key_, folder_, directory_ = quoted
    head = _HEAD % (
        UNFIT, mark_, key_, folder_, SHARED, key_, WORKER_VARIABLE, array, directory_, directory_, SHARED
    )  # fmt: skip
    lines = [f"{{ {line}\n}} || fail {shlex.quote(f'The line {line!r} of --slurm-setup failed.')}" for line in setup]
    run = (sys.executable, "-P", "-m")
    way = () if tunnel is None else (*run, "multistage.worker.tunnel", tunnel)
    worker = shlex.join([*way, *run, "multistage.worker", *arguments])
    return "\n".join([head.rstrip("\n"), *lines, f"exec {worker}", ""])

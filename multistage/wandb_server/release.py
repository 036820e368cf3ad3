"""Which code a server runs: whoever finds one running can tell whether it is older than the code at hand."""

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOMS = (
    *("wandb_server", "search", "domain"),
    *("errors.py", "atomic_files.py", "file_locks.py", "machines.py", "process_starts.py"),
)
"""What the server is made of."""


@lru_cache(maxsize=1)
def describe_release() -> str:
    """The package's version with a digest of the server's own files: a checkout changes without a new version."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for room in ROOMS:
        place = package / room
        for path in sorted(place.rglob("*")) or [place]:
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    try:
        released = version("multistage-sweep")
    except PackageNotFoundError:
        # The server's own files, without the package that they come in.
        released = "0"
    return f"{released}+{digest.hexdigest()[:12]}"

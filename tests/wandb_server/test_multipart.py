"""A file that is larger than W&B's client sends in one piece (2 GiB): it comes in parts, which become one."""

import hashlib
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from tests.wandb_server.wandb_clients import run_script

SIZE = (2 << 30) + 12_345
"""Bytes. On this disk it is next to nothing, a hole; what the server receives is whole."""
SCRIPT = """
import json, wandb
with open("large.bin", "wb") as file:
    file.truncate({size})
    for place in (0, {size} // 2, {size} - 8):
        file.seek(place)
        file.write(b"%08d" % (place % 99_999_999))
with wandb.init(project="large") as run:
    artifact = wandb.Artifact("large", type="dataset")
    artifact.add_file("large.bin", policy="immutable", skip_cache=True)
    run.log_artifact(artifact).wait()
found = wandb.Api().artifact("large/large:v0")
print(json.dumps([found.manifest.entries["large.bin"].size, found.state]))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_large_file_is_sent_in_parts_and_joined(wandb_server: ServerProcess, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(run_script, wandb_server.environment, tmp_path, SCRIPT.format(size=SIZE), 500)
        seen: set[Path] = set()
        while not sending.done():
            seen |= set(wandb_server.home.rglob("blobs/*/*"))
            wait([sending], timeout=0.2)
    size, state = sending.result()
    kept = set(wandb_server.home.rglob("blobs/*/*"))
    assert len(seen - kept) > 10, "it came in one piece"
    assert len(kept) < 10, "parts stay"
    assert (size, state) == (SIZE, "COMMITTED")
    (stored,) = (path for path in wandb_server.home.rglob("*") if path.is_file() and path.stat().st_size == SIZE)
    with stored.open("rb") as whole, (tmp_path / "large.bin").open("rb") as sent:
        digests = [hashlib.file_digest(file, "sha256").hexdigest() for file in (whole, sent)]
    stored.unlink()
    assert digests[0] == digests[1]

"""Ray's jobs that follow a sweep with its own key: a real Ray, which is no package of this project's."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from multistage.services.hosts import find_address
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import COMMAND, SWEEP, CommandLine, check_budget, wait_for
from tests.flows.test_external import read_address, read_key
from tests.slurm_cluster import find_port

pytestmark = [
    pytest.mark.skipif(shutil.which("ray") is None, reason="Ray is not in the path: pip install 'ray[default]'"),
    pytest.mark.skipif(find_address() is None, reason="this machine has no network"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
JOBS = 2


class RayCluster:
    """A head alone, with two cores.

    Args:
        folder: Where it keeps everything; short, since its sockets are in there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{find_port()}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "RAY_"))}
        self._environment = inherited | {"RAY_API_SERVER_ADDRESS": self._url, "RAY_USAGE_STATS_ENABLED": "0"}

    @contextmanager
    def run(self) -> Iterator[None]:
        """Run it, until its jobs can be submitted; `ray stop` would end every other Ray of this machine, too."""
        ports = ("--port=0", "--min-worker-port=0", "--max-worker-port=0", f"--ray-client-server-port={find_port()}")
        own = (f"--dashboard-port={self._url.rpartition(':')[2]}", f"--dashboard-agent-listen-port={find_port()}")
        command = ("ray", "start", "--head", "--block", "--num-cpus=2", *ports, *own, f"--temp-dir={self._folder}")
        with (self._folder / "said").open("w") as output:
            head = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        try:
            wait_for(lambda: head.poll() is not None or self.ask("list").returncode == 0, timeout=240, every=1)
            assert head.poll() is None, (self._folder / "said").read_text()
            yield
        finally:
            head.terminate()
            head.wait(60)

    def ask(self, *command: str) -> "subprocess.CompletedProcess[str]":
        done = ("ray", "job", *command)
        return subprocess.run(done, env=self._environment, capture_output=True, text=True, timeout=120, check=False)

    def submit(self, name: str, variables: dict[str, str], *command: str) -> None:
        told = self._folder / f"{name}.yaml"
        told.touch(0o600)
        told.write_text(json.dumps({"env_vars": variables}))
        given = ("--no-wait", f"--submission-id={name}", f"--runtime-env={told}")
        done = self.ask("submit", *given, "--entrypoint-num-cpus=1", "--", *command)
        assert done.returncode == 0, done.stdout + done.stderr

    def has_succeeded(self, name: str) -> bool:
        return "succeeded" in self.ask("status", name).stdout

    def read_log(self, name: str) -> str:
        return self.ask("logs", name).stdout


@pytest.fixture
def cluster() -> Iterator[RayCluster]:
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        made = RayCluster(Path(folder))
        with made.run():
            yield made


def test_jobs_of_ray_train_a_sweep_and_end_with_it(commands: CommandLine, workplace: Path, cluster: RayCluster) -> None:
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp")
    jobs = [f"work-{number}" for number in range(JOBS)]
    with commands.start(*SWEEP, "--launcher", "external") as driver:
        address, key = read_address(folder), read_key(folder)
        for job in jobs:
            cluster.submit(job, {"WANDB_API_KEY": key}, COMMAND, "work", address)
        assert driver.wait(500) == 0
        for job in jobs:
            wait_for(lambda name=job: cluster.has_succeeded(name), timeout=90, every=1)  # type: ignore[misc]
    told = [cluster.read_log(job) for job in jobs]
    assert all("The sweep is done: exiting." in one for one in told), told
    assert all("was handed out" in one for one in told), told
    check_budget(commands, folder)

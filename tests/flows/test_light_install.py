"""A worker in an environment that holds just what the documentation names for one: no Prefect, no Modal."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget
from tests.flows.test_external import read, read_address, read_key
from tests.ssh_hosts import SshHosts, needs_ssh

ROOT = Path(__file__).parents[2]
PAGES = ("any_machine.md", "ssh.md", "slurm.md")
ALONE = "pip install --no-deps multistage-sweep"
ABSENT = ("prefect", "modal", "scipy", "sklearn", "starlette", "cyclopts")
SCRIPT = """\
import wandb
with wandb.init() as run:
    run.log({"score": run.config["lr"]})
"""
SWEEP = ("--program", "train.py", "--params", "lr:0.1-0.2", "--metric", "score", "--budget", "10")


def read_lines(page: str) -> list[str]:
    """The lines of a page that install a worker, which end with the package alone."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)
    found = [[line.strip() for line in block.splitlines()] for block in blocks if ALONE in block]
    assert len(found) == 1, f"{page} installs a worker {len(found)} times"
    return found[0][: found[0].index(ALONE) + 1]


def test_all_pages_install_a_worker_by_the_same_lines() -> None:
    first, *others = (read_lines(page) for page in PAGES)
    assert all(one == first for one in others)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of such an environment."""
    folder = tmp_path_factory.mktemp("light")
    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"]))
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    made = folder / "venv" / "bin" / "python"
    for line in read_lines(PAGES[0]):
        words = [wheel if word == "multistage-sweep" else word for word in shlex.split(line)]
        assert words[0] == "pip", line
        done = subprocess.run([made, "-m", *words], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture
def project(workplace: Path) -> Path:
    (workplace / "train.py").write_text(SCRIPT)
    return workplace


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_worker_of_that_environment_trains_a_sweep(python: Path, project: Path, commands: CommandLine) -> None:
    look = f"from importlib.util import find_spec; print([name for name in {ABSENT} if find_spec(name)])"
    there = subprocess.run([python, "-P", "-c", look], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == "[]"
    folder, log = SweepFolder(project / "runs" / "light"), project / "log"
    given = ("--launcher", "external", "--server-host", "127.0.0.1", "--name", "light")
    with commands.start("my:light", *SWEEP, *given) as driver:
        address = read_address(folder)
        with log.open("w") as output:
            environment = commands.environment | {"WANDB_API_KEY": read_key(folder)}
            command = python.with_name("multistage-sweep"), "work", address
            worker = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        with worker:
            assert driver.wait(400) == 0, read(log)
            assert worker.wait(60) == 0, read(log)
    assert len(check_budget(commands, folder)) == 10


@needs_ssh
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_hosts_with_that_environment_train_a_sweep(
    python: Path, project: Path, commands: CommandLine, ssh_hosts: SshHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(commands.environment, "PATH", ssh_hosts.path)
    there = project / "there"
    there.mkdir()
    (there / "train.py").write_text(SCRIPT)
    given = ("--launcher", "ssh", "--hosts", "host1,host2", "--ssh-directory", str(there))
    commands.run("my:light", *SWEEP, *given, "--ssh-worker-python", str(python), "--name", "hosts", timeout=400)
    assert len(check_budget(commands, SweepFolder(project / "runs" / "hosts"))) == 10


@pytest.mark.slow
def test_another_command_there_says_what_is_missing(python: Path) -> None:
    command = python.with_name("multistage-sweep")
    for given, word in ((["status"], "`multistage-sweep status` needs more"), ([], "The command line needs more")):
        done = subprocess.run([command, *given], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert word in done.stderr

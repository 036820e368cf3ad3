"""Whole sweeps on a real Slurm: trained by jobs, with what is wrong said at once, and exactly the budget in the end."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from multistage.cli import main
from multistage.services.hosts import find_address
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, count_used, wait_for
from tests.slurm_cluster import SlurmCluster, needs_slurm
from tests.ssh_hosts import SshHosts, needs_ssh

pytestmark = [needs_slurm, pytest.mark.slow]

DIGITS = ("digits:mlp", "--params", "learning_rate,alpha", "--launcher", "slurm")
SWEEP = (*DIGITS, "--workers", "3")
SHORT = ("--budget", "10", "--train-arg", "epochs=3", "--worker-idle", "10")
NAME = "multistage_sweep_digits_mlp"


@pytest.fixture
def folder(workplace: Path) -> SweepFolder:
    return SweepFolder(workplace / "runs" / NAME)


@pytest.fixture(scope="module")
def left(slurm_cluster: SlurmCluster, commands: CommandLine) -> Iterator[None]:
    """Ends what sweeps have left while the cluster is there: a later `down --force` of the same user could not."""
    yield
    commands.run("down", "--force", variables=slurm_cluster.environment)


@pytest.fixture
def users(slurm: SlurmCluster, commands: CommandLine, left: None, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The session's user, on the cluster."""
    for name, value in slurm.environment.items():
        monkeypatch.setitem(commands.environment, name, value)
    return commands


def test_jobs_train_a_sweep_over_the_network_with_a_key_of_their_own(
    users: CommandLine, folder: SweepFolder, slurm: SlurmCluster
) -> None:
    address = find_address()
    if address is None:
        pytest.skip("this machine has no network")
    path = folder.logs / ".worker-variables"
    with users.start(*SWEEP, *SHORT, "--server-host", address) as driver:
        wait_for(path.exists, timeout=240)
        variables = path.read_text()
        assert path.stat().st_mode & 0o077 == 0
        assert driver.wait(280) == 0
    told = "".join(log.read_text() for log in Path.cwd().glob("command-*.log"))
    assert f"listens on {address} too" in " ".join(told.split())
    check_budget(users, folder)
    wait_for(lambda: not slurm.list_jobs())
    assert not path.exists(), "the key outlives what it was for"
    assert f"http://{address}:" in variables
    key = (users.settings.wandb_server_folder / "key").read_text().strip()
    assert key not in variables
    told = "".join(path.read_text(errors="replace") for path in list_files(slurm.folder) if path.suffix != ".key")
    assert key not in told
    assert "worker-" + folder.load_state().uid not in told, "Slurm keeps a copy of the workers' key"


@needs_ssh
def test_jobs_reach_a_server_to_which_only_ssh_leads(
    users: CommandLine,
    folder: SweepFolder,
    slurm: SlurmCluster,
    ssh_hosts: SshHosts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tunnels cut in between, a job requeued, and another cancelled."""
    monkeypatch.setitem(users.environment, "PATH", ssh_hosts.path)
    given = ("--budget", "12", "--train-arg", "epochs=20", "--worker-idle", "10", "--slurm-tunnel", "ssh:host1")
    with users.start(*SWEEP, *given) as driver:
        wait_for(lambda: count_used(folder) >= 1, timeout=280)
        variables = (folder.logs / ".worker-variables").read_text()
        for connection in ssh_hosts.list_connections():
            connection.kill()
        wait_for(lambda: count_used(folder) >= 3, timeout=120)
        requeued, *_ = slurm.list_jobs("RUNNING")
        slurm.ask("scontrol", "requeue", requeued)
        cancelled = wait_for(lambda: [job for job in slurm.list_jobs("RUNNING") if job != requeued])
        slurm.ask("scancel", cancelled[0])
        assert driver.wait(280) == 0
    check_budget(users, folder)
    assert re.search(r"WANDB_BASE_URL='?http://127\.0\.0\.1:", variables), "the server was opened to the network"
    key = (users.settings.wandb_server_folder / "key").read_text().strip()
    assert key not in variables
    wait_for(lambda: not slurm.list_jobs())
    wait_for(lambda: not ssh_hosts.list_clients())


def list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--slurm-partition", "gpu"), "There is no Slurm partition 'gpu'. There are main, urgent"),
        (("--slurm-cpus", "64"), "No node of partition main has 64 cores. The largest has 2"),
        (("--slurm-memory", "1T"), "has 1T of memory. The largest has 4000 MiB"),
        (("--gpus-per-run", "1"), "No node of partition main has the GPUs 1."),
        (("--gpus-per-run", "0.5"), "a job has whole GPUs"),
        (("--slurm-time", "5:00:00"), "may take 120 minutes at most"),
        (("--slurm-time", "soon"), "'soon' is not a time as Slurm writes it"),
        (("--slurm-constraint", "h100"), "Slurm refuses: Invalid feature specification"),
        (("--slurm-arg", "no-such-option=1"), "Slurm refuses: unrecognized option"),
        (("--server-host", "192.0.2.77"), "192.0.2.77 is not an address of this machine"),
        (("--slurm-tunnel", "login1"), "'login1' does not name the host that leads to the server: ssh:HOST"),
        (("--modal-cpu", "1"), "--modal-cpu has no effect on Slurm"),
    ],
)
def test_what_no_node_has_is_refused_before_anything_is_submitted(
    given: tuple[str, ...],
    words: str,
    slurm: SlurmCluster,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "home"))
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    assert words in refuse(capsys, *SWEEP, *SHORT, *given)
    assert slurm.list_jobs() == []
    assert not (workplace / "runs").exists()


def test_a_machine_without_slurm_is_told_so(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(workplace))
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "home"))
    assert "There is no sbatch on this machine" in refuse(capsys, *SWEEP, *SHORT)


def refuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Call the command line in this process, and give the sentence with which it refuses."""
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "trouble",
    [
        "a folder that nodes do not see",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("a server that nodes do not reach", "its setup")),
    ],
)
def test_what_no_job_can_work_with_ends_the_sweep_at_the_first(
    trouble: str, users: CommandLine, slurm: SlurmCluster, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: tuple[str, ...] = ("--slurm-setup", "false")
    words = "The line 'false' of --slurm-setup failed"
    if trouble.startswith("a folder"):
        if slurm.hidden is None:
            pytest.skip("no node can be given a file system of its own here")
        monkeypatch.chdir(slurm.hidden)
        given, words = ("--slurm-partition", "apart"), "on a disk that all nodes share"
    elif trouble.startswith("a server"):
        given = ("--slurm-setup", "export WANDB_BASE_URL=http://127.0.0.1:9", "--worker-idle", "2")
        words = "cannot reach the W&B server at http://127.0.0.1:9"
    done = users.run(*SWEEP, "--budget", "10", *given, code=1)
    said = " ".join((done.stdout + done.stderr).split())
    assert words in said
    wait_for(lambda: not slurm.list_jobs())
    arrays = {line.rpartition("_")[0] for line in slurm.list_jobs("FAILED", "CANCELLED", "COMPLETED")}
    logs = SweepFolder(Path.cwd() / "runs" / NAME).logs
    submitted = {path.name.split("-")[2] for path in logs.glob("worker-*.log")}
    assert len(submitted) == 1, "more was submitted"
    assert arrays


def test_what_waits_says_why(users: CommandLine, folder: SweepFolder, slurm: SlurmCluster) -> None:
    slurm.ask("scontrol", "update", f"NodeName={','.join(slurm.nodes)}", "State=DRAIN", "Reason=test")
    with users.start(*SWEEP, "--budget", "10") as driver:
        told = wait_for(lambda: read_waiting(folder), timeout=240)
        assert told.startswith("3 jobs wait in Slurm's queue")
        assert "3 jobs wait in Slurm's queue" in users.run("status", NAME).stdout
        driver.terminate()
        driver.wait(60)
    wait_for(lambda: not slurm.list_jobs())


def read_waiting(folder: SweepFolder) -> str:
    state = folder.read_state()
    return state.current_stage.waiting if state and state.current_stage else ""


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_whatever_happens_to_jobs_nodes_and_drivers_forty_runs_are_forty(
    users: CommandLine, folder: SweepFolder, slurm: SlurmCluster
) -> None:
    """A worker requeued, one cancelled, a node drained, one lost, the controller away, the driver killed."""
    whole = (*DIGITS, "--workers", "4", "--budget", "40", "--train-arg", "epochs=60", "--stall-after", "120")
    with users.start(*whole) as driver:
        wait_for(lambda: count_used(folder) >= 2, timeout=240)
        slurm.ask("scontrol", "requeue", find_running(slurm)[0])
        wait_for(lambda: count_used(folder) >= 5, timeout=240)
        slurm.ask("scancel", find_running(slurm)[0])
        wait_for(lambda: count_used(folder) >= 8, timeout=240)
        _, drained = find_running(slurm)
        slurm.ask("scontrol", "update", f"NodeName={drained}", "State=DRAIN", "Reason=test")
        wait_for(lambda: count_used(folder) >= 11, timeout=240)
        slurm.kill_node(find_running(slurm, besides=drained)[1])
        wait_for(lambda: count_used(folder) >= 14, timeout=240)
        driver.kill()
        driver.wait()
    assert count_used(folder) < 40
    with users.start("--resume", str(folder.state_file)) as driver:
        wait_for(lambda: count_used(folder) >= 18, timeout=240)
        slurm.stop_controller()
        wait_for(lambda: count_used(folder) >= 22, timeout=240)
        slurm.start_controller()
        assert driver.wait(600) == 0
    check_budget(users, folder)
    wait_for(lambda: not slurm.list_jobs(), timeout=90)
    workers = [line for line in ps() if "multistage.worker" in line and str(folder.path) in line]
    assert workers == []


def find_running(slurm: SlurmCluster, besides: str = "") -> tuple[str, str]:
    """Wait for a job that runs, and give it with its node."""

    def look() -> tuple[str, str] | None:
        found = [(job, slurm.find_node(job)) for job in slurm.list_jobs("RUNNING")]
        return next(((job, node) for job, node in found if node and node != besides), None)

    return wait_for(look, timeout=120) or ("", "")


def ps() -> list[str]:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()

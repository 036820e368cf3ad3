"""Whole sweeps on hosts that a real ssh reaches: what is wrong said at once, and exactly the budget in the end."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from multistage.cli import main
from multistage.launchers.ssh.records import read_details_of
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, count_used, wait_for
from tests.ssh_hosts import SshHosts, needs_ssh

pytestmark = needs_ssh

DIGITS = ("digits:mlp", "--params", "learning_rate,alpha", "--launcher", "ssh")
NAME = "multistage_sweep_digits_mlp"
SCRIPT = """\
import wandb
with wandb.init() as run:
    run.log({"score": run.config["lr"]})
"""


@pytest.fixture
def folder(workplace: Path) -> SweepFolder:
    return SweepFolder(workplace / "runs" / NAME)


@pytest.fixture(scope="module")
def left(ssh_server: SshHosts, commands: CommandLine) -> Iterator[None]:
    """Ends what sweeps have left while the hosts are there: a later `down --force` of the same user could not."""
    yield
    commands.run("down", "--force", variables={"PATH": ssh_server.path})


@pytest.fixture
def users(ssh_hosts: SshHosts, commands: CommandLine, left: None, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The session's user, whose ssh knows the hosts."""
    monkeypatch.setitem(commands.environment, "PATH", ssh_hosts.path)
    return commands


def list_trainings(folder: Path) -> list[psutil.Process]:
    """All that trains for a sweep on any host, by its folder of logs."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get("WANDB_DIR") == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_whatever_happens_to_workers_connections_and_drivers_the_budget_is_exact(
    users: CommandLine, folder: SweepFolder, ssh_hosts: SshHosts
) -> None:
    """A worker and its trainings killed, every connection cut, the hosts away for a while, the driver killed."""
    whole = (*DIGITS, "--hosts", "host1,host2", "--budget", "12", "--train-arg", "epochs=30", "--stall-after", "120")
    with users.start(*whole) as driver:
        wait_for(lambda: count_used(folder) >= 2, timeout=480)
        kill_worker(folder, "host1")
        wait_for(lambda: count_used(folder) >= 4, timeout=240)
        for connection in ssh_hosts.list_connections():
            connection.kill()
        wait_for(lambda: count_used(folder) >= 6, timeout=240)
        check_secrecy(users, folder)
        driver.kill()
        driver.wait()
    with users.start("--resume", str(folder.state_file)) as driver:
        wait_for(lambda: count_used(folder) >= 8, timeout=240)
        with ssh_hosts.away():
            wait_for(lambda: "does not answer" in read_waiting(folder), timeout=60)
        assert driver.wait(400) == 0
    check_budget(users, folder)
    wait_for(lambda: not ssh_hosts.list_clients(), timeout=60)
    wait_for(lambda: not list_trainings(folder.logs), timeout=60)
    assert {"host1", "host2"} == {path.name for path in (folder.logs / ".hosts").iterdir()}


def kill_worker(folder: SweepFolder, host: str) -> None:
    state = folder.load_state()
    found = [own for one in state.workers if (own := read_details_of(one)).host == host and own.pid]
    worker = psutil.Process(found[-1].pid)
    for process in (*worker.children(recursive=True), worker):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def check_secrecy(users: CommandLine, folder: SweepFolder) -> None:
    """Workers have the sweep's own key, which stands in no file and no command line."""
    trainings = list_trainings(folder.logs)
    own = f"worker-{folder.load_state().uid}-"
    keys = {process.environ()["WANDB_API_KEY"] for process in trainings}
    assert keys
    assert all(key.startswith(own) for key in keys)
    told = "".join(path.read_text(errors="replace") for path in folder.logs.rglob("*") if path.is_file())
    arguments = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    for key in (*keys, (users.settings.wandb_server_folder / "key").read_text().strip()):
        assert key not in told
        assert not any(key in line for line in arguments)


def read_waiting(folder: SweepFolder) -> str:
    state = folder.read_state()
    return state.current_stage.waiting if state and state.current_stage else ""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_hosts_with_a_folder_of_their_own_train_a_script_there(
    users: CommandLine, workplace: Path, ssh_hosts: SshHosts
) -> None:
    there = workplace / "their own"
    there.mkdir()
    for place in (there, workplace):
        (place / "train.py").write_text(SCRIPT)
    sweep = ("my:own", "--program", "train.py", "--params", "lr:0.1-0.2", "--metric", "score", "--budget", "10")
    users.run(*sweep, "--launcher", "ssh", "--hosts", "host1:2", "--ssh-directory", str(there), timeout=380)
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_my_own")
    assert len(check_budget(users, folder)) == 10
    logs = there / ".multistage" / folder.path.name
    assert len(list((logs / "runs").glob("*.log"))) >= 10
    wait_for(lambda: not list_trainings(logs), timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((), "--launcher ssh needs hosts. Name them"),
        (
            ("--hosts", "host1,-oProxyCommand=id"),
            "cannot be 'host1,-oProxyCommand=id': it takes hosts as ssh takes them",
        ),
        (("--hosts", "host1,host1"), "it names host1 twice; host1:2 gives it two workers"),
        (("--hosts", "host1:2", "--workers", "3"), "--hosts has 2 workers, and --workers asks for 3."),
        (("--hosts", "stranger"), "The host stranger refuses the key: "),
        (("--hosts", "host1,stranger"), "The host stranger refuses the key: "),
        (("--hosts", "host1", "--ssh-worker-python", "/no/python"), "The host host1 has no Python at /no/python."),
        (("--hosts", "host1", "--ssh-directory", "/no/folder"), "There is no folder /no/folder."),
        (("--hosts", "host1", "--gpus-per-run", "1"), "No GPU was found, and --gpus-per-run asks for 1."),
        (("--hosts", "host1", "--slurm-cpus", "2"), "--slurm-cpus has no effect on other hosts"),
    ],
)
def test_hosts_that_cannot_train_are_refused_before_anything_is_started(
    given: tuple[str, ...],
    words: str,
    ssh_hosts: SshHosts,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wait_for(lambda: not ssh_hosts.list_clients(), timeout=60)  # of a sweep before
    assert words in refuse(capsys, monkeypatch, workplace, *given)
    assert ssh_hosts.list_clients() == []


def test_hosts_that_are_all_away_or_let_nothing_back_are_refused(
    ssh_hosts: SshHosts, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ssh_hosts.stop()
    try:
        assert "The host host2 does not answer: " in refuse(capsys, monkeypatch, workplace, "--hosts", "host2")
        ssh_hosts.start(forwarding="no")
        words = "The host host2 lets no port of its 127.0.0.1 lead back here. Its sshd has to allow it"
        assert words in refuse(capsys, monkeypatch, workplace, "--hosts", "host2")
    finally:
        ssh_hosts.stop()
        ssh_hosts.start()


def refuse(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, workplace: Path, *given: str) -> str:
    """Call the command line in this process, and give the sentence with which it refuses."""
    (workplace / "train.py").write_text(SCRIPT)
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "home"))
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    sweep = ("my:own", "--program", "train.py", "--params", "lr:0.1-0.2", "--metric", "score", "--budget", "10")
    with pytest.raises(SystemExit) as refused:
        main((*sweep, "--launcher", "ssh", *given))
    assert refused.value.code == 2
    assert not (workplace / "runs").exists()
    return " ".join(capsys.readouterr().err.split())

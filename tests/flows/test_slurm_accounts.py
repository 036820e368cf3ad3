"""What Slurm's accounting forbids: said in a sentence before anything is submitted, on a real slurmdbd."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from multistage.cli import main
from multistage.domain.workers.worker_records import WorkerEnd
from multistage.launchers.slurm.endings import ask_accounting
from multistage.launchers.slurm.launcher import SlurmLauncher
from multistage.launchers.slurm.options import JobOptions
from multistage.launchers.slurm.records import read_job
from multistage.store.sweep_folder import SweepFolder
from tests.flows.command_line import CommandLine, check_budget, count_used, wait_for
from tests.slurm_accounting import AccountedCluster, needs_accounting

pytestmark = [*needs_accounting, pytest.mark.slow]

SWEEP = ("digits:mlp", "--params", "learning_rate,alpha", "--launcher", "slurm", "--budget", "10")
MINE = "You may use lab, "
QUALITIES = "It may use few, normal, quick, short, strict: --slurm-qos few."


@pytest.fixture(scope="module")
def accounted_cluster() -> Iterator[AccountedCluster]:
    # munged wants folders that others may pass through, and pytest's own are private.
    with tempfile.TemporaryDirectory(prefix="slurm-") as place, AccountedCluster(Path(place)) as cluster:
        Path(place).chmod(0o755)
        yield cluster


@pytest.fixture(scope="module")
def left(accounted_cluster: AccountedCluster, commands: CommandLine) -> Iterator[None]:
    """Ends what the sweep has left while the cluster is there: a later `down --force` of the same user could not."""
    yield
    commands.run("down", "--force", variables=accounted_cluster.environment)


@pytest.fixture
def accounted(accounted_cluster: AccountedCluster, monkeypatch: pytest.MonkeyPatch) -> AccountedCluster:
    """That Slurm with idle nodes, as this process's own."""
    accounted_cluster.reset()
    for name, value in accounted_cluster.environment.items():
        monkeypatch.setenv(name, value)
    return accounted_cluster


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--slurm-account", "nosuch"), f"Slurm has no account 'nosuch' that you may use. {MINE}"),
        (("--slurm-account", "others"), f"Slurm has no account 'others' that you may use. {MINE}"),
        (("--slurm-arg", "account=others"), f"Slurm has no account 'others' that you may use. {MINE}"),
        (("--slurm-qos", "nosuch"), f"There is no Slurm QOS 'nosuch'. {QUALITIES}"),
        (
            ("--slurm-qos", "closed"),
            "Slurm account 'lab' may not use the QOS 'closed' for you. Your account spare may: --slurm-account spare.",
        ),
        (
            ("--slurm-qos", "quick", "--slurm-account", "spare"),
            "The Slurm account 'spare' may not use the QOS 'quick' for you. Your account lab may: --slurm-account lab.",
        ),
        (
            ("--slurm-qos", "few", "--workers", "3"),
            "With the QOS few you may have 2 in the queue, those that are there included: use --workers 2 or fewer",
        ),
        (
            ("--slurm-qos", "short"),
            "A job with Slurm's QOS short may take 10 minutes at most, and these may take 60. Use --slurm-time 10",
        ),
        (("--slurm-qos", "strict", "--slurm-time", "11"), "QOSMaxWallDurationPerJobLimit"),
    ],
)
def test_what_accounting_forbids_is_refused_before_anything_is_submitted(
    given: tuple[str, ...],
    words: str,
    accounted: AccountedCluster,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MULTISTAGE_HOME", str(workplace / "home"))
    with pytest.raises(SystemExit) as refused:
        main((*SWEEP, *given))
    assert refused.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert accounted.list_jobs() == []
    assert not (workplace / "runs").exists()


def test_the_time_that_a_quality_of_service_allows_is_taken(accounted: AccountedCluster, workplace: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(("plan", *SWEEP, "--slurm-qos", "short", "--slurm-time", "10", "--slurm-account", "lab"))
    assert ended.value.code == 0


@pytest.mark.usefixtures("left")
@pytest.mark.timeout(600)
def test_a_sweep_goes_on_where_its_jobs_are_all_that_may_be_in_the_queue(
    accounted: AccountedCluster, commands: CommandLine, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is cancelled, and another job of the user's takes its place for a while."""
    for name, value in accounted.environment.items():
        monkeypatch.setitem(commands.environment, name, value)
    folder = SweepFolder(workplace / "runs" / "multistage_sweep_digits_mlp")
    given = ("--workers", "2", "--slurm-qos", "few", "--train-arg", "epochs=20", "--worker-idle", "10")
    with commands.start(*SWEEP, *given) as driver:
        wait_for(lambda: count_used(folder) >= 1, timeout=240)
        accounted.ask("scancel", accounted.list_jobs("RUNNING")[0])
        other = accounted.ask("sbatch", "--parsable", "--qos=few", "--output=/dev/null", "--wrap", "sleep 600")
        wait_for(lambda: "takes no more jobs of yours" in read_log(), timeout=120)
        assert "QOSMaxSubmitJobPerUserLimit" in read_log()
        accounted.ask("scancel", other)
        assert driver.wait(280) == 0
    check_budget(commands, folder)
    wait_for(lambda: not accounted.list_jobs())


def read_log() -> str:
    return " ".join("".join(path.read_text() for path in Path.cwd().glob("command-*.log")).split())


@pytest.mark.parametrize(
    ("line", "state", "end"),
    [
        ("exit 0", "COMPLETED", WorkerEnd(fault="none")),
        ("exit 5", "FAILED", WorkerEnd(fault="setup", reason="said last")),
        ("sleep 600", "CANCELLED", WorkerEnd(fault="machine", reason="It was cancelled.")),
    ],
)
def test_the_end_of_a_job_that_the_controller_has_forgotten_is_read_from_the_accounting(
    line: str, state: str, end: WorkerEnd, accounted: AccountedCluster, workplace: Path
) -> None:
    options = JobOptions(setup=("echo said last", line))
    with closing(SlurmLauncher(workplace / "logs", options, variables={"WANDB_API_KEY": "k"})) as launcher:
        *_, record = launcher.launch("e/p/s", 1)
        job_id = read_job(record).job_id or ""
        if state == "CANCELLED":
            wait_for(lambda: accounted.list_jobs("RUNNING"))
            accounted.ask("scancel", job_id)
        wait_for(lambda: job_id not in accounted.ask("squeue", "-h", "-r", "--states=all", "--format=%F_%K"))
        wait_for(lambda: ask_accounting(job_id) == state)
    with closing(SlurmLauncher(workplace / "logs")) as later:
        assert later.inspect(record) == end

"""What the conformance suite does not ask of the launcher of jobs."""

import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from multistage.launchers.slurm import job_queue
from multistage.launchers.slurm.job_queue import LONGEST, PER_JOB, SHORTEST, JobQueue
from multistage.launchers.slurm.launcher import SlurmLauncher
from multistage.launchers.slurm.options import JobOptions
from multistage.launchers.slurm.script import UNFIT, build_script
from tests.slurm_cluster import SlurmCluster, needs_slurm, wait_until


def open_launcher(workplace: Path, *setup: str) -> SlurmLauncher:
    """A launcher of jobs that end in their setup; no worker begins."""
    return SlurmLauncher(workplace / "logs", JobOptions(setup=setup), variables={"WANDB_API_KEY": "k"})


@pytest.mark.slow
@needs_slurm
def test_an_array_is_found_by_its_name_where_nobody_noted_its_job(slurm: SlurmCluster, workplace: Path) -> None:
    with closing(open_launcher(workplace, "sleep 600")) as launcher:
        intents, told = [], launcher.launch("e/p/s", 2)
        for record in told:
            intents.append(record)
            if record.is_started:  # the driver is killed before it could note this
                break
        with closing(SlurmLauncher(workplace / "logs")) as later:
            first = [one for one in intents if not one.is_started]
            assert len(first) == 2
            assert all(later.is_alive(one) for one in first)
            later.stop(first)
            assert not any(later.is_alive(one) for one in first)
    assert slurm.list_jobs() == []


@pytest.mark.slow
@needs_slurm
def test_an_array_that_is_submitted_after_it_was_ended_does_nothing(slurm: SlurmCluster, workplace: Path) -> None:
    with closing(open_launcher(workplace, "touch begun")) as launcher:
        told = launcher.launch("e/p/s", 1)
        intent = next(told)
        with closing(SlurmLauncher(workplace / "logs")) as other:
            other.stop([intent])
        (record,) = told
        wait_until(lambda: slurm.list_jobs() == [], "the job to end")
        assert slurm.list_jobs("COMPLETED") != []
        end = launcher.inspect(record)
        assert end is not None
        assert end.fault == "none"
    assert not Path("begun").exists()


def test_a_script_copes_with_any_folder_and_says_what_a_node_lacks(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "50%" $HOME'
    folder.mkdir()
    key = folder / "variables"

    def run(*setup: str, directory: Path = folder) -> "subprocess.CompletedProcess[str]":
        script = build_script("ms-1", key, folder / "mark", folder, directory, setup, ["--help"])
        return subprocess.run(
            ["bash"], input=script, env={"SLURM_ARRAY_TASK_ID": "3"}, capture_output=True, text=True, check=False
        )

    unseen = run()
    assert (unseen.returncode, str(folder) in unseen.stdout) == (UNFIT, True)
    assert "on a disk that all nodes share" in unseen.stdout
    key.write_text("export GIVEN=1\n")
    assert "doesn't see the folder" in run(directory=folder / "gone").stdout
    failed = run("echo $GIVEN $MULTISTAGE_WORKER", "cd nowhere")
    assert failed.stdout.startswith("1 ms-1-3\n")
    assert "The line 'cd nowhere' of --slurm-setup failed." in failed.stdout
    assert "Train the runs of one W&B sweep" in run("true").stdout
    (folder / "mark").touch()
    assert (run().returncode, run().stdout) == (0, "")


@pytest.mark.parametrize(("jobs", "pause"), [(1, SHORTEST), (20, 20 * PER_JOB), (1000, LONGEST)])
def test_the_more_jobs_there_are_the_more_seldom_slurm_is_asked(
    jobs: int, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "".join(f"1|{number}|RUNNING|N/A|ms-a|None\n" for number in range(jobs))
    monkeypatch.setattr(job_queue, "call", lambda *_, **__: told)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    queue = JobQueue()
    for _ in range(3):
        assert len(queue.look()) == jobs
    assert queue.questions == 1
    now += pause - 0.01
    queue.look()
    assert queue.questions == 1
    now += 0.02
    queue.look()
    assert queue.questions == 2

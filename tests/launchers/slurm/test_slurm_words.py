"""What Slurm says and what is said to it, without one."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from multistage.errors import UsageError
from multistage.launchers.slurm.cluster import check_resources, choose_groups, find_limit, parse_groups
from multistage.launchers.slurm.commands import build_environment, quote
from multistage.launchers.slurm.job_queue import Job, explain_waiting, parse_jobs
from multistage.launchers.slurm.options import JobOptions
from multistage.launchers.slurm.rehearsal import rehearse
from multistage.options.slurm import parse_time

CLUSTER = """\
cpu*|2:00:00|1:00:00|32|128000|10|(null)
gpu|1-00:00:00|n/a|16|256000+|4|gpu:a100:4(S:0-1)
gpu|1-00:00:00|n/a|64+|64000|2|gpu:2
long|infinite|n/a|8|16000|1|(null)
mig|1:00:00|n/a|8|16000|1|gpu:1g.10gb:7
"""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("30:15", 1815),
        ("2:00:00", 7200),
        ("1-12", 129_600),
        ("1-12:30", 131_400),
        ("1-12:30:05", 131_405),
    ],
)
def test_a_time_is_read_as_slurm_reads_it(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "given", [{"time": "soon"}, {"time": "1:2:3:4"}, {"memory": "8 GB"}, {"gpus": "0"}, {"gpus": "a100:"}, {"cpus": 0}]
)
def test_what_slurm_would_not_understand_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JobOptions.model_validate(given)


def test_resources_become_arguments() -> None:
    options = JobOptions(
        partition="gpu",
        qos="high",
        time="4:00:00",
        cpus=8,
        memory="16G",
        gpus_per_run=2,
        arg=("nice=100", "--exclusive"),
    )
    assert list(options.list_arguments()) == [
        "--partition=gpu", "--qos=high", "--time=4:00:00", "--cpus-per-task=8", "--mem=16G", "--gres=gpu:2",
        "--nice=100", "--exclusive",
    ]  # fmt: skip
    assert JobOptions(gpus="a100:1", gpus_per_run=2).choose_gpus() == "a100:1"
    assert JobOptions(gpus_per_run=0).choose_gpus() is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (JobOptions(partition="fast"), "no Slurm partition 'fast'"),
        (JobOptions(cpus=33), "has 33 cores"),
        (JobOptions(memory="126G"), "has 126G of memory"),
        (JobOptions(gpus="1"), "has the GPUs 1"),
        (JobOptions(partition="gpu", gpus="a100:5"), "has the GPUs a100:5"),
        (JobOptions(partition="gpu", gpus="h100:1"), "has the GPUs h100:1"),
        (JobOptions(partition="gpu", cpus=32, gpus="4"), "at once"),
        (JobOptions(time="3:00:00"), "120 minutes at most"),
    ],
)
def test_what_no_node_has_is_told(options: JobOptions, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_resources(choose_groups(parse_groups(CLUSTER), options), options)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (JobOptions(), 3600),
        (JobOptions(time="30"), 1800),
        (JobOptions(partition="gpu", gpus="a100:4", cpus=16, memory="250G"), 86_400),
        (JobOptions(partition="gpu", gpus="2", cpus=64), 86_400),
        (JobOptions(partition="long"), None),
        (JobOptions(partition="long,cpu", time="9-0"), 9 * 86_400),
    ],
)
def test_what_some_node_has_is_taken_and_its_limit_known(options: JobOptions, limit: float | None) -> None:
    groups = choose_groups(parse_groups(CLUSTER), options)
    check_resources(groups, options)
    assert find_limit(groups, options) == limit


def test_jobs_are_known_by_their_array_and_number() -> None:
    jobs = parse_jobs(
        "7|0|PENDING|2030-01-01T09:30:00|ms-ab|Priority\n7|1|RUNNING|2030-01-01T08:00:00|ms-ab|None\n"
        "8|N/A|PENDING|N/A|other|Nodes required for job are DOWN, DRAINED or reserved|for others\n"
    )
    assert jobs["ms-ab-0"] == Job("7_0", "PENDING", "2030-01-01T09:30:00", "Priority")
    assert jobs["ms-ab-1"].job_id == "7_1"
    assert jobs["other-N/A"].reason.endswith("|for others")


def test_what_waits_is_told_with_its_reasons_and_the_first_beginning() -> None:
    late, soon = "2030-01-02T10:00:00", "2030-01-01T09:30:00"
    waiting = [Job("1_0", "PENDING", late, "Priority"), Job("1_1", "PENDING", soon, "Resources")]
    assert explain_waiting([*waiting, Job("1_2", "RUNNING", "N/A", "None")]) == (
        "2 jobs wait in Slurm's queue: Priority (1), Resources (1), the first to begin about Tue 09:30"
    )
    assert explain_waiting([Job("1_0", "PENDING", "N/A", "None")]) == "1 job waits in Slurm's queue"
    assert explain_waiting([Job("1_2", "COMPLETED", "N/A", "None")]) == ""


def test_a_refusal_is_quoted_without_the_commands_own_words() -> None:
    said = "sbatch: error: invalid partition: x\nsbatch: error: Batch job submission failed: Invalid partition.\n"
    assert quote(said) == "Invalid partition"
    said = "sbatch: unrecognized option '--x=1'\nTry \"sbatch --help\" for more information\n"
    assert quote(said) == "unrecognized option '--x=1'"
    assert quote("allocation failure: Invalid feature specification") == "Invalid feature specification"


def test_jobs_inherit_no_secret_and_nothing_of_the_job_that_submits_them() -> None:
    given = {
        "PATH": "/bin", "WANDB_API_KEY": "k", "WANDB_ENTITY": "e", "SLURM_JOB_ID": "1", "SLURM_CONF": "c",
        "SLURM_MEM_PER_NODE": "1", "SBATCH_ACCOUNT": "a", "PREFECT_API_AUTH_STRING": "s",
        "PREFECT_SERVER_API_AUTH_STRING": "s",
    }  # fmt: skip
    assert set(build_environment(given)) == {"PATH", "WANDB_ENTITY", "SLURM_CONF", "SBATCH_ACCOUNT"}


@pytest.mark.parametrize(
    ("said", "options", "words"),
    [
        (
            "allocation failure: Invalid account or account/partition combination specified",
            JobOptions(account="lab"),
            "Slurm has no account 'lab' that you may use. Name one as --slurm-account: `sacctmgr",
        ),
        (
            "allocation failure: Invalid account or account/partition combination specified",
            JobOptions(),
            "Slurm has no usual account for you. Name one as --slurm-account",
        ),
        (
            "allocation failure: Invalid qos specification",
            JobOptions(qos="fast"),
            "Slurm has no QOS 'fast' that you may use. Name another",
        ),
        (
            "sbatch: error: AssocMaxSubmitJobLimit\nallocation failure: Job violates accounting/QOS policy (limit)",
            JobOptions(),
            "Slurm takes no 8 more jobs of yours: AssocMaxSubmitJobLimit. Use fewer than --workers 8",
        ),
        (
            "sbatch: error: QOSMinGRES\nallocation failure: Job violates accounting/QOS policy (job submit limit)",
            JobOptions(),
            "Slurm refuses: Job violates accounting/QOS policy (job submit limit): QOSMinGRES.",
        ),
    ],
)
def test_what_accounting_forbids_is_told_where_nothing_says_what_it_allows(
    said: str, options: JobOptions, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Slurm 22.05 prints, on a machine without sacctmgr."""
    for name, line in (("sbatch", f"echo '{said}' >&2; exit 1"), ("squeue", "true")):
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{line}\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SBATCH_ACCOUNT", raising=False)
    with pytest.raises(UsageError) as refused:
        rehearse(options, 8, ["main"], 60.0)
    assert str(refused.value).startswith(words)

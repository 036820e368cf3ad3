"""The script by which docs/slurm.md makes the driver a job; commands of the cluster and the driver are stand-ins."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.flows.command_line import wait_for

PAGE = Path(__file__).parents[3] / "docs" / "slurm.md"
DRIVER = f"""#!{sys.executable}
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line has it
pathlib.Path("arguments").write_text(" ".join(sys.argv[1:]))
try:
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path("interrupted").touch()
    sys.exit(130)
"""


def run_job(folder: Path) -> list[str]:
    """Run the script until its driver works, send what comes before the limit; returns the driver's arguments."""
    (script,) = re.findall(r"^```bash\n(#!/bin/bash\n#SBATCH.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for name, text in {"multistage-sweep": DRIVER, "scontrol": '#!/bin/sh\necho "$@" >requeued\n'}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    place = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    with subprocess.Popen(["bash", "-c", script], cwd=folder, env=place) as job:
        wait_for((folder / "arguments").exists, timeout=30)
        job.send_signal(signal.SIGTERM)
        job.wait(30)
    words = (folder / "arguments").read_text().split()
    (folder / "arguments").unlink()
    return words


def test_at_its_limit_the_driver_is_interrupted_and_the_job_requeued_to_resume(tmp_path: Path) -> None:
    assert run_job(tmp_path)[:3] == ["my:v1", "--name", "my_sweep"]
    assert (tmp_path / "interrupted").exists()
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"
    (tmp_path / "runs" / "my_sweep").mkdir(parents=True)
    (tmp_path / "runs" / "my_sweep" / "state.json").touch()
    assert run_job(tmp_path)[:2] == ["resume", "my_sweep"]

"""A real Slurm on this machine: its controller and its nodes' daemons on free ports, with keys and state of their own.

It needs neither systemd nor cgroups nor a database, and may run as any user who may start ``munged``.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil
import pytest

DAEMONS = ("munged", "slurmctld", "slurmd", "slurmstepd")
CORES, MEMORY = 2, 4000
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/run/munge.socket,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
{accounting}
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
DefMemPerCPU=500
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
KillWait=5
MessageTimeout=5
SlurmdTimeout=10
MinJobAge={memory_of_jobs}
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{nodes}
PartitionName=main Nodes={names} Default=YES MaxTime=2:00:00 DefaultTime=60 State=UP PriorityTier=1 GraceTime=5
PartitionName=urgent Nodes={names} MaxTime=INFINITE State=UP PriorityTier=10
PartitionName=apart Nodes=far MaxTime=INFINITE State=UP
"""

needs_slurm = pytest.mark.skipif(
    any(
        shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None for name in ("slurmctld", "slurmd", "munged")
    ),
    reason="Slurm is not installed: apt-get install slurm-wlm",
)


class SlurmCluster:
    """Four nodes of two cores each, and one more in a partition of its own, which does not see some folder.

    Args:
        folder: Where it keeps everything.
        hidden: What the node ``far`` does not see; it is not started where nothing is named.
    """

    memory_of_jobs = 300
    """Seconds after which the controller forgets jobs that have ended."""

    def __init__(self, folder: Path, hidden: Path | None = None) -> None:
        self.folder = folder
        self.hidden = hidden
        self.accounting = "AccountingStorageType=accounting_storage/none"
        self.nodes = ("n1", "n2", "n3", "n4")
        self.config = folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.config)}

    def __enter__(self) -> Self:
        for name in ("state", "spool", "log", "run"):
            (self.folder / name).mkdir(mode=0o755)
        self._write_config()
        self._start_munge()
        self.start_database()
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        if self.hidden is not None:
            self._start_apart()
        parts = ("main",) if self.hidden is None else ("main", "apart")
        wait_until(lambda: self._count_idle(*parts) == len(self.nodes) + len(parts) - 1, "the nodes to be idle")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.list_processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self.list_processes(), 10)

    def ask(self, *command: str) -> str:
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def list_jobs(self, *states: str) -> list[str]:
        """The jobs in some states, or all that have not ended."""
        wanted = states or ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING")
        told = self.ask("squeue", "-h", "-r", f"--states={','.join(wanted)}", "--format=%F_%K")
        return told.split()

    def find_node(self, job: str) -> str:
        return self.ask("squeue", "-h", "--states=all", f"--jobs={job}", "--format=%N")

    def start_database(self) -> None:
        """Start what the accounting needs: nothing."""

    def start_controller(self) -> None:
        self._run("slurmctld", "-i")
        wait_until(lambda: "UP" in self._try("scontrol", "ping"), "the controller")

    def stop_controller(self) -> None:
        """End it as its administrator does; killed, it forgets what it was told in the last seconds."""
        (controller,) = self.list_processes("slurmctld")
        controller.terminate()
        psutil.wait_procs([controller], 10)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Without a controller for a while."""
        self.stop_controller()
        try:
            yield
        finally:
            self.start_controller()

    def start_node(self, node: str) -> None:
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        self._run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and all that runs there, as if its power had gone."""
        doomed = [one for one in self.list_processes("slurmd", "slurmstepd") if self._belongs(one, node)]
        below = [child for one in doomed if one.name() == "slurmstepd" for child in one.children(recursive=True)]
        for process in (*doomed, *below):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(doomed, 10)

    def _belongs(self, process: psutil.Process, node: str) -> bool:
        try:
            command = process.cmdline()
            return node in command or process.environ().get("SLURMD_NODENAME") == node
        except psutil.Error:
            return False

    def reset(self) -> None:
        """Make it what it was: no jobs, all nodes at work."""
        self.ask("scancel", f"--user={psutil.Process().username()}")
        for node in self.nodes:
            if not any(node in one.cmdline() for one in self.list_processes("slurmd")):
                self.start_node(node)
        self._try("scontrol", "update", f"NodeName={','.join(self.nodes)}", "State=RESUME")
        wait_until(lambda: not self.list_jobs() and self._count_idle() == len(self.nodes), "the nodes to be idle")

    def list_processes(self, *names: str) -> list[psutil.Process]:
        """This cluster's own daemons."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() not in (names or DAEMONS) or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                own = process.environ().get("SLURM_CONF") == str(self.config)
                if own or any(str(self.folder) in word for word in process.cmdline()):
                    found.append(process)
        return found

    def _write_config(self) -> None:
        host = socket.gethostname().partition(".")[0]
        sizes = f"CPUs={CORES} RealMemory={MEMORY} State=UNKNOWN"
        own = [*self.nodes, "far"]
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={find_port()} {sizes}" for node in own
        )
        self.config.write_text(
            CONFIG.format(
                host=host,
                port=find_port(),
                user=psutil.Process().username(),
                folder=self.folder,
                accounting=self.accounting,
                memory_of_jobs=self.memory_of_jobs,
                nodes=nodes,
                names=",".join(self.nodes),
            )
        )

    def _start_munge(self) -> None:
        key, run = self.folder / "munge.key", self.folder / "run"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        self._run(
            *("munged", "--force", f"--key-file={key}", f"--socket={run}/munge.socket"),
            *(f"--pid-file={run}/munged.pid", f"--log-file={self.folder}/log/munged.log"),
            f"--seed-file={run}/munge.seed",
        )

    def _start_apart(self) -> None:
        """Start the node ``far`` in a file system of its own, in which a folder is empty."""
        (self.folder / "spool" / "far").mkdir(exist_ok=True)
        hide = f"mount -t tmpfs none {self.hidden} && exec /usr/sbin/slurmd -N far"
        self._run("unshare", "--mount", "sh", "-c", hide)

    def _count_idle(self, *partitions: str) -> int:
        wanted = ",".join(partitions or ("main",))
        return len(self._try("sinfo", "-h", "-N", "-p", wanted, "-t", "idle").splitlines())

    def _try(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    def _run(self, name: str, *arguments: str, **variables: str) -> None:
        path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert path is not None
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "WANDB_"))}
        done = subprocess.run(
            [path, *arguments],
            env={**environment, **self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], object], what: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"{timeout:g} s were not enough for {what}"
        time.sleep(0.1)


def can_hide() -> bool:
    """Whether this process may give a node a file system of its own."""
    words: Sequence[str] = ("unshare", "--mount", "true")
    return (
        shutil.which("unshare") is not None and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )

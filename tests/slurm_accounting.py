"""A real Slurm whose accounting is enforced: `slurmdbd` over a MariaDB of its own, which listens on no port.

Who runs the tests has the account ``lab``, with all qualities of service but ``closed``, and ``spare``, with that one
alone; the account ``others`` is another user's.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import psutil
import pytest

from tests.slurm_cluster import SlurmCluster, find_port, needs_slurm, wait_until

SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/sbin"
DATABASE = """\
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={user}
StorageLoc=slurm
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
"""
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/run/munge.socket
AccountingStorageEnforce=associations,limits,qos"""

_MISSING = [
    name for name in ("slurmdbd", "mariadbd", "mariadb-install-db") if shutil.which(name, path=SEARCHED) is None
]
needs_accounting = [
    needs_slurm,
    pytest.mark.skipif(
        bool(_MISSING),
        reason=f"There is no {' or '.join(_MISSING)}: apt-get install --no-install-recommends slurmdbd mariadb-server",
    ),
]


class AccountedCluster(SlurmCluster):
    """The same four nodes, with accounts; the controller forgets ended jobs within seconds.

    Args:
        folder: Where it keeps everything.
    """

    memory_of_jobs = 2

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = find_port()
        self.accounting = ACCOUNTING.format(port=self._port, folder=folder)
        self.user = psutil.Process().username()
        self._mariadb: subprocess.Popen[bytes] | None = None
        self._socket = folder / "run" / "mariadb.socket"

    def __enter__(self) -> Self:
        try:
            return super().__enter__()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        writers = self.list_processes("slurmdbd")
        for process in writers:
            process.terminate()
        psutil.wait_procs(writers, 30)
        if self._mariadb is not None:
            self._mariadb.terminate()
            self._mariadb.wait(30)

    def start_database(self) -> None:
        """Start both, and make accounts and users."""
        self._start_mariadb()
        conf = self.folder / "slurmdbd.conf"  # it is looked for beside slurm.conf
        conf.touch(0o600)
        conf.write_text(DATABASE.format(folder=self.folder, port=self._port, user=self.user))
        self._run("slurmdbd", MYSQL_UNIX_PORT=str(self._socket))
        wait_until(lambda: "test" in self._try("sacctmgr", "-i", "add", "cluster", "test") or self._knows(), "slurmdbd")
        for words in (
            ("add", "qos", "quick,few,short,strict,closed"),
            ("modify", "qos", "few", "set", "MaxSubmitJobsPerUser=2"),
            ("modify", "qos", "short", "set", "MaxWall=10"),
            ("modify", "qos", "strict", "set", "MaxWall=10", "Flags=DenyOnLimit"),
            ("modify", "qos", "quick", "set", "MaxJobsPerUser=1"),
            ("add", "account", "lab,spare,others"),
            ("add", "user", self.user, "account=lab", "qos=normal,quick,few,short,strict", "defaultqos=normal"),
            ("add", "user", self.user, "account=spare", "qos=closed", "defaultqos=closed"),
            ("add", "user", "nobody", "account=others"),
            ("modify", "user", self.user, "set", "defaultaccount=lab"),
        ):
            self.ask("sacctmgr", "-i", *words)

    def _knows(self) -> bool:
        return "test" in self._try("sacctmgr", "-nP", "show", "cluster", "format=cluster").split()

    def _start_mariadb(self) -> None:
        data = self.folder / "mariadb"
        own = ("--no-defaults", f"--datadir={data}", f"--user={self.user}")
        self._run(
            *("mariadb-install-db", *own, "--skip-test-db"),
            *("--auth-root-authentication-method=socket", f"--auth-root-socket-user={self.user}"),
        )
        mariadbd = shutil.which("mariadbd", path=SEARCHED)
        assert mariadbd is not None
        with (self.folder / "log" / "mariadbd.log").open("wb") as log:
            self._mariadb = subprocess.Popen(
                [mariadbd, *own, "--skip-networking", f"--socket={self._socket}", "--innodb-buffer-pool-size=64M"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._socket.exists, "MariaDB")

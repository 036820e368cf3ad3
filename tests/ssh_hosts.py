"""Real hosts for ssh on this machine: one sshd on a free port, known to ssh by several names.

It needs neither systemd nor PAM nor root's own configuration.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil
import pytest

from tests.slurm_cluster import find_port, wait_until

SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/sbin"
NAMES = ("host1", "host2")
SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/id.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
AllowTcpForwarding {forwarding}
"""
CLIENT = """\
Host {name}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {identity}
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  StrictHostKeyChecking yes
"""

needs_ssh = pytest.mark.skipif(
    any(shutil.which(name, path=SEARCHED) is None for name in ("sshd", "ssh", "ssh-keygen")),
    reason="OpenSSH's server is not installed: apt-get install openssh-server",
)


class SshHosts:
    """``host1`` and ``host2``, and ``stranger``, whose key is refused.

    Args:
        folder: Where it keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = find_port()
        self.commands = folder / "bin"
        """To come first in the path: ``ssh`` with this folder's configuration."""

    def __enter__(self) -> Self:
        for name in ("id", "other", "host_key"):
            self._make_key(name)
        user, host_key = psutil.Process().username(), (self.folder / "host_key.pub").read_text().split()
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {' '.join(host_key[:2])}\n")
        identities = {**dict.fromkeys(NAMES, "id"), "stranger": "other"}
        (self.folder / "config").write_text(
            "".join(
                CLIENT.format(name=name, port=self.port, user=user, identity=self.folder / identity, folder=self.folder)
                for name, identity in identities.items()
            )
        )
        self.commands.mkdir()
        wrapper = self.commands / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder}/config "$@"\n')
        wrapper.chmod(0o755)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def path(self) -> str:
        """What ``PATH`` is to be."""
        return f"{self.commands}{os.pathsep}{os.environ['PATH']}"

    def start(self, forwarding: str = "yes") -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        config = self.folder / "sshd_config"
        config.write_text(SERVER.format(port=self.port, folder=self.folder, forwarding=forwarding))
        sshd = shutil.which("sshd", path=SEARCHED)
        assert sshd is not None
        done = subprocess.run(
            [sshd, "-f", str(config), "-E", str(self.folder / "log")],
            env={name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "MULTISTAGE_"))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        wait_until((self.folder / "sshd.pid").exists, "sshd")

    def stop(self) -> None:
        """End it with all its connections; what these have started lives on."""
        with suppress(FileNotFoundError, psutil.NoSuchProcess, ValueError):
            server = psutil.Process(int((self.folder / "sshd.pid").read_text()))
            ended = [*self.list_connections(), server]
            for process in ended:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(ended, 10)
        (self.folder / "sshd.pid").unlink(missing_ok=True)

    def list_connections(self) -> list[psutil.Process]:
        """The processes of sshd that serve a connection each."""
        server = psutil.Process(int((self.folder / "sshd.pid").read_text()))
        return [child for child in server.children(recursive=True) if child.name().startswith("sshd")]

    @contextmanager
    def away(self) -> Iterator[None]:
        """Without hosts for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def list_clients(self) -> list[psutil.Process]:
        """The processes of ssh that use this configuration."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "ssh" and str(self.folder / "config") in process.cmdline():
                    found.append(process)
        return found

    def _make_key(self, name: str) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(command, check=True)

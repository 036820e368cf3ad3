"""One host, by the system's ssh: what is asked there, and the way back to this machine's server."""

import hashlib
import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multistage.errors import CloudAwayError, LaunchError
from multistage.launchers.ssh.attendant import MARK
from multistage.launchers.ssh.records import HostPlace
from multistage.launchers.ssh.refusals import explain_failure

QUIETLY = ("-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ClearAllForwardings=yes",
           "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4")  # fmt: skip
"""No question, no terminal, and an end within 20 s of the network's."""
PATIENCE = 20.0
"""Seconds that a host has to answer; a cold disk there takes some for a start of Python."""
OPENING = 20.0
"""Seconds to log in."""
FREEING = 10.0
"""Seconds in which the host ends an earlier connection that holds the port, and has not noticed its own end."""
SECRETS = ("WANDB_API_KEY", "WANDB_SERVICE")

_LEFT: "list[subprocess.Popen[bytes]]" = []
"""Kept connections that go on without a launcher; Python complains of those that it loses sight of."""


class Connection:
    """Asks a host for what a sweep's workers there need; every process may have one.

    Args:
        place: The host, its Python, and the sweep's folder there.
    """

    def __init__(self, place: HostPlace) -> None:
        self.place = place
        self._socket = _make_private_folder() / _shorten(f"{place.folder}\n{place.host}")
        self._note = self._socket.with_suffix(".port")
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, act: str, limit: float = PATIENCE, **order: Any) -> Mapping[str, Any]:
        """Have the host's attendant carry out an order; gives its answer.

        Raises:
            CloudAwayError: The host does not answer, or lets nobody in now.
            LaunchError: It cannot do that: no Python there, or none with this package.
        """
        line = json.dumps({**order, "act": act, **self.place.model_dump()})
        command = ["ssh", *QUIETLY, "-o", "ControlMaster=no", "-S", str(self._socket), "--", self.place.host]
        return self._read_answer(self._run([*command, self._attend()], limit, f"{line}\n"))

    def survey(self, tests_way_back: bool, limit: float = PATIENCE, **order: Any) -> Mapping[str, Any]:
        """Ask what the host has and lacks, over a connection of its own.

        Args:
            tests_way_back: Whether the host has to allow one.
            limit: Seconds that it has.
            order: What trainings need.

        Raises:
            CloudAwayError: The host does not answer, or lets nobody in.
            LaunchError: It has no Python with this package, or allows no way back.
        """
        way = ("-o", "ClearAllForwardings=no", "-R", "127.0.0.1:0:127.0.0.1:9") if tests_way_back else ()
        line = json.dumps({**order, "act": "survey"})
        command = ["ssh", *way, *QUIETLY, "-o", "ControlMaster=no", "-S", "none", "--", self.place.host]
        done = self._run([*command, self._attend()], limit, f"{line}\n")
        answer = self._read_answer(done)
        if "remote port forwarding failed for listen port 0" in done.stderr:
            raise self._refuse_way_back()
        return answer

    def _read_answer(self, done: "subprocess.CompletedProcess[str]") -> Mapping[str, Any]:
        answers = [one for one in done.stdout.splitlines() if one.startswith(MARK)]
        if not answers:
            raise explain_failure(self.place.host, self.place.python, done.returncode, done.stderr)
        answer: Mapping[str, Any] = json.loads(answers[-1].removeprefix(MARK))
        return answer

    def _refuse_way_back(self) -> LaunchError:
        return LaunchError(
            f"The host {self.place.host} lets no port of its 127.0.0.1 lead back here.",
            "Its sshd has to allow it: AllowTcpForwarding yes, or remote.",
        )

    def open_way_back(self, port: int | None, wanted: int | None = None) -> int | None:
        """Keep a connection to the host, and a port on its 127.0.0.1 by which its workers reach one on this machine's.

        It outlives this process, and ends by itself soon after the last worker there.

        Args:
            port: The one on this machine; None for a connection alone.
            wanted: The one there, where workers know it already.

        Returns:
            The port there. It may be another than was wanted, where that is taken by now.

        Raises:
            CloudAwayError: The host does not answer.
            LaunchError: It allows no way back.
        """
        if (held := self._find_held(port)) is not None and wanted in (None, held[0]):
            return held[0]
        self.close()
        self._log_in()
        there = None
        if port is not None:
            there = self._forward(port, wanted)
        self._note.write_text(json.dumps([there, port]))
        return there

    def _find_held(self, port: int | None) -> tuple[int | None] | None:
        """Find what is held already, by this process or an earlier one."""
        try:
            there, here = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return None
        return (there,) if here == port and self.is_open() else None

    def is_open(self) -> bool:
        """Whether the kept connection is there, as far as this machine knows."""
        if not self._socket.exists():
            return False
        return self._control("check").returncode == 0

    def close(self) -> None:
        """End the kept connection, whoever opened it; workers there live on."""
        if self._socket.exists():
            self._control("exit")
        if self._process is not None:
            try:
                self._process.wait(2.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)
        for note in self._note.parent.glob("*.port"):  # those of connections that have ended by themselves, too
            if not note.with_suffix("").exists():
                note.unlink(missing_ok=True)

    def let_go(self) -> None:
        """Leave the kept connection to itself."""
        if self._process is not None:
            _LEFT.append(self._process)
            self._process = None

    def _log_in(self) -> None:
        line = json.dumps({"act": "hold", **self.place.model_dump()})
        command = ["ssh", *QUIETLY, "-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-S", str(self._socket)]
        with tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                [*command, "--", self.place.host, self._attend()],
                env=build_environment(os.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            try:
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.close()
            except BrokenPipeError:  # it has ended, and said why
                pass
            deadline = time.monotonic() + OPENING
            while not self._socket.exists() and self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            if self._socket.exists():
                return
            self._process.kill()
            code = self._process.wait()
            self._process = None
            said.seek(0)
            raise explain_failure(self.place.host, self.place.python, code, said.read().decode(errors="replace"))

    def _forward(self, port: int, wanted: int | None) -> int:
        if wanted is not None:
            deadline = time.monotonic() + FREEING
            while time.monotonic() < deadline:
                if self._control("forward", "-R", f"127.0.0.1:{wanted}:127.0.0.1:{port}").returncode == 0:
                    return wanted
                time.sleep(0.2)
        told = self._control("forward", "-R", f"127.0.0.1:0:127.0.0.1:{port}")
        if told.returncode == 0 and told.stdout.strip().isdigit():
            return int(told.stdout)
        self.close()
        raise self._refuse_way_back()

    def _control(self, what: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["ssh", "-O", what, *arguments, "-S", str(self._socket), "--", self.place.host]
        try:
            return self._run(command, 5.0)
        except CloudAwayError as error:  # a connection that hangs
            if self._process is not None:
                self._process.kill()
            return subprocess.CompletedProcess(command, 255, "", str(error))

    def _attend(self) -> str:
        return shlex.join([self.place.python, "-P", "-m", "multistage.launchers.ssh.attendant"])

    def _run(self, command: Sequence[str], limit: float, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                command,
                env=build_environment(os.environ),
                input=text,
                stdin=subprocess.DEVNULL if text is None else None,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit,
                check=False,
            )
        except FileNotFoundError as error:
            raise LaunchError("There is no ssh on this machine.", "Install OpenSSH's client.") from error
        except subprocess.TimeoutExpired as error:
            raise CloudAwayError(f"The host {self.place.host} does not answer within {limit:g} s.") from error


def build_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Build ssh's own variables: no secret is among them, since a user's configuration may send any along."""
    return {
        name: value
        for name, value in environment.items()
        if name not in SECRETS and not name.upper().endswith("_API_AUTH_STRING")
    }


def _make_private_folder() -> Path:
    """Make the folder of sockets, whose paths must be short.

    Raises:
        LaunchError: Somebody else has made it.
    """
    folder = Path(tempfile.gettempdir()) / f"multistage-ssh-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise LaunchError(f"{folder} is not yours alone.", "Take it away, or name another folder as TMPDIR.")
    return folder


def _shorten(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

"""The settings file that `init` writes: looked at before a script runs, and changed where it lies."""

import os
import stat
import tempfile
from pathlib import Path

from multistage.atomic_files import replace_file
from multistage.domain.proposal.draft import Proposal
from multistage.domain.proposal.settings_text import merge_section
from multistage.errors import UsageError
from multistage.paths import expand_home
from multistage.request.sources.settings_file import parse_settings

ANOTHER = "Name another file with --settings."
_MARK = "\ufeff"
"""What some editors put in front of a text; TOML knows no such thing."""


class SettingsTarget:
    """A settings file that is there, or will be.

    Args:
        path: As its user names it. Where it is a link, the file that it leads to is the one that is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = expand_home(path).absolute()
        self._file = Path(os.path.realpath(self.path))

    def check(self) -> None:
        """Check that it can be read and written, and makes sense; leaves no trace of that.

        Raises:
            UsageError: It cannot, or does not.
        """
        parse_settings(self.read(), self.path)
        if not self._file.parent.is_dir():
            raise UsageError(
                f"{self.path} cannot be written: there is no folder {self._file.parent}.", f"Make it. {ANOTHER}"
            )
        try:
            with tempfile.TemporaryFile(dir=self._file.parent):
                pass
        except OSError as error:
            raise self._refuse("written", error.strerror) from error
        if self._file.exists() and not os.access(self._file, os.W_OK):
            raise self._refuse("written", "its mode forbids it")

    def read(self) -> str:
        """Return its text with the line ends that it has; empty where there is no such file.

        Raises:
            UsageError: It is no file, or cannot be read.
        """
        return self._read().removeprefix(_MARK)

    def merge(self, proposal: Proposal) -> str:
        """Return its text with the section of a proposal.

        Raises:
            UsageError: It cannot be read, or its own section cannot be replaced.
        """
        return merge_section(self.read(), self._place(proposal))

    def _place(self, proposal: Proposal) -> Proposal:
        """Write the paths of a proposal as a file in another folder has them."""
        if self.path.parent == Path.cwd():
            return proposal
        own = proposal.invocation
        changes = {
            "program": own.program if own.kind == "module" else str(expand_home(Path(own.program)).absolute()),
            "python": None if own.python is None else str(Path(own.python).absolute()),
        }
        return proposal.model_copy(update={"invocation": own.model_copy(update=changes)})

    def write(self, text: str) -> None:
        """Replace its text; all else stays: where it lies, who may read it, and how it begins.

        Args:
            text: With its line ends.

        Raises:
            UsageError: It cannot be written; what was there stays.
        """
        mark = _MARK if self._read().startswith(_MARK) else ""
        try:
            replace_file(self._file, mark + text, self._choose_mode())
        except OSError as error:
            raise self._refuse("written", error.strerror) from error

    def _read(self) -> str:
        try:
            if self._file.exists() and not self._file.is_file():
                kind = "a folder" if self._file.is_dir() else "no regular file"
                raise UsageError(f"{self.path} is {kind}, and cannot be a settings file.", ANOTHER)
            return self._file.read_bytes().decode()
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as error:
            raise self._refuse("read", f"it is not UTF-8 ({error})") from error
        except OSError as error:
            raise self._refuse("read", error.strerror) from error

    def _choose_mode(self) -> int:
        """Return the mode that it has; for a new one that of any file which its user makes."""
        if self._file.exists():
            return stat.S_IMODE(self._file.stat().st_mode)
        umask = os.umask(0o077)  # it can only be read by setting it
        os.umask(umask)
        return 0o666 & ~umask

    def _refuse(self, what: str, why: str | None) -> UsageError:
        return UsageError(f"{self.path} cannot be {what}: {why}.", f"Change that. {ANOTHER}")

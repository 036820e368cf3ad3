"""A package that brings a launcher, installed into a folder of its own."""

import os
import shutil
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("spare_launcher.py")


def install(entry_point: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Install the spare launcher's file with an entry point, for this process and those that it starts."""
    information = folder / "spare_launcher-1.0.dist-info"
    information.mkdir(parents=True)
    shutil.copy(FILE, folder)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: spare-launcher\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[multistage.launchers]\n{entry_point}\n")
    patch.syspath_prepend(str(folder))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))

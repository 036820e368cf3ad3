"""Another package's searcher: one file, and the metadata of an installed package."""

from pathlib import Path

import pytest

GOOD = '''
from multistage.search.multistage import StagedSearch


class Corners(StagedSearch):
    """Goes through the corners of the box."""

    def suggest(self, box, evaluations, pending, count):
        start = len(evaluations) + len(pending)
        size = len(box)
        return [box.from_unit([(number >> (place % 16)) & 1 for place in range(size)])
                for number in range(start, start + count)]
'''


def install(
    monkeypatch: pytest.MonkeyPatch, place: Path, source: str = GOOD, name: str = "corners", value: str = "Corners"
) -> str:
    """Lay a package beside the project that brings a searcher; gives the package's module."""
    module = f"strange_{name}"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{module}.py").write_text(source)
    told = place / f"{module}-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(f"[multistage.searchers]\n{name} = {module}:{value}\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(__import__("sys").modules, module, raising=False)
    return module

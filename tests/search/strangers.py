"""Another package's searcher: one file, as the documentation has it, and the metadata of an installed package."""

import re
import sys
from pathlib import Path

import pytest

_DOCUMENTED = re.search(
    r"```python\n(# corners\.py\n.*?)```", (Path(__file__).parents[2] / "docs" / "search.md").read_text(), re.DOTALL
)
assert _DOCUMENTED is not None
GOOD = _DOCUMENTED[1]


def install(
    monkeypatch: pytest.MonkeyPatch, place: Path, source: str = GOOD, name: str = "corners", value: str = "Corners"
) -> str:
    """Lay a package beside the project that brings a searcher; returns the package's module."""
    module = f"strange_{name}"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{module}.py").write_text(source)
    told = place / f"{module}-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(f"[multistage.searchers]\n{name} = {module}:{value}\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, module, raising=False)
    return module

"""The tree of docs/architecture.md is the checkout's, and the commands that are named work."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BY_ENTRY = ("flows", "tasks", "multistage")
"""Folders of which the tree names every file."""
UNTOLD = {"LICENSE", "__init__.py", "py.typed"}
BUILT = {"__pycache__", "dist", "htmlcov", "wandb"}


def list_told() -> Iterator[str]:
    """The paths of the tree, each line indented by its depth."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    tree = re.search(r"^```\n(flows/.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    assert tree is not None
    parents: list[str] = []
    for line in tree[1].splitlines():
        indent = len(line) - len(line.lstrip())
        name = line.split()[0]
        depth = indent // 2
        parents[depth:] = [name.rstrip("/")]
        yield "/".join(parents)


def list_present(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        told = not path.name.startswith(".") and path.name not in UNTOLD | BUILT and path.suffix != ".egg-info"
        if told and (path.is_file() or any(path.iterdir())):
            yield str(path.relative_to(ROOT))


def test_all_that_the_tree_names_exists() -> None:
    told = list(list_told())
    assert len(told) == len(set(told)) > 20
    assert not [path for path in told if not (ROOT / path).exists()]


def test_the_tree_names_all_there_is() -> None:
    present = set(list_present(ROOT))
    for folder in BY_ENTRY:
        present |= set(list_present(ROOT / folder))
    assert present <= set(list_told())


def test_the_first_pages_name_commands_that_work() -> None:
    readme = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", readme)) <= targets
    assert "make sweep" in readme
    assert "make test" in readme


def test_links_lead_to_pages_and_their_headings() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    broken = []
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, heading = link.partition("#")
            target = page if not path else page.parent / path
            if "://" in link or link.startswith("mailto:"):
                continue
            if not target.exists() or (heading and heading not in list_headings(target)):
                broken.append(f"{page.name}: {link}")
    assert not broken


def list_headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_in_the_index() -> None:
    listed = set(re.findall(r"\]\((\w+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    missing = {page.name for page in (ROOT / "docs").glob("*.md")} - listed - {"README.md", "from_the_guide.md"}
    assert not missing


def test_the_first_page_fits_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 50

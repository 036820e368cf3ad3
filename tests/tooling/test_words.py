"""Plain English: the words that strings, docs, docstrings and names avoid, each beside the common one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for room in ("multistage", "flows", "tasks") for path in (ROOT / room).rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

AVOIDED = {
    r"\b[Mm]end(s|ed|ing)?\b": "fix",
    r"\bGo on with\b": "Resume with",
    r"\bis no (JSON|YAML|TOML)\b": "is not valid JSON",
    r"\b(is|are|names) no (range|key|number|name|word|text|multiple|change|way|whole|goal|split)\b": "is not a",
    r"\blook(ed)? at twice\b": "double-check",
    r"[Ww]hat speaks for it": "Evidence",
    r"\bsays? nothing of\b": "does not name",
    r"\bfate\b": "what became of",
    r"\baffair\b": "is its own",
    r"\bwaits for nobody\b": "is not waiting",
    r"\bflatters?\b": "is partly luck",
    r"\b(nursery|nurseries|pardon(ed|s)?|endured?s?|dismiss(ed)?|wish(es|ed)?)\b": "the common word",
    r"\b(orchestrator|trials?)\b": "driver; run",
    r"\b([Ff]oreseen?|[Hh]eed(s|ed)?|[Ss]uffices?|[Bb]ury|[Bb]uried)\b": "predict; follow; be enough; end",
    r"\b(values|thread|threads|core|cores|second|seconds|dollars|line|file|folder|GPUs|percent|each) an? "
    r"(parameter|run|worker|stage|core|user|sweep|line|file|kind|config|machine|engine)\b": "per",
    r"\b1 (parameters|runs|workers|values|GPUs)\b": "1 parameter",
}
ANY = re.compile("|".join(AVOIDED))
NAMES = re.compile(
    r"(^|_)(pardon|endure|dismiss|nursery|wish|wishes|mend|tell|foresee|vouch|bury|heed|doze)(_|$)", re.IGNORECASE
)
OWN_WORDS = {"multistage/search/searchers/optuna.py": {"_tell"}}
"""Optuna asks and is told."""
OPENINGS = re.compile(r"(Gives?|Tells?|Mend) ")


def read_texts(path: Path) -> Iterator[tuple[int, str]]:
    """List a file's strings and docstrings by line; a page's lines."""
    if path.suffix == ".md":
        yield from enumerate(path.read_text().splitlines(), 1)
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def read_names(path: Path) -> Iterator[tuple[int, str]]:
    """List the names that a file gives to functions, classes, arguments and variables, by line."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name


def test_the_words_are_common_ones() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]!r}: {better}"
        for path in (*SOURCES, *PAGES)
        if ANY.search(path.read_text())
        for line, text in read_texts(path)
        for pattern, better in AVOIDED.items()
        for match in re.finditer(pattern, text)
    ]
    assert not found, "\n".join(found)


def test_names_and_docstrings_use_common_verbs() -> None:
    found = []
    for path in SOURCES:
        relative = str(path.relative_to(ROOT))
        own = OWN_WORDS.get(relative, set())
        found += [
            f"{relative}:{line}: {name}" for line, name in read_names(path) if NAMES.search(name) and name not in own
        ]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                text = ast.get_docstring(node) or ""
                found += [f"{relative}:{node.lineno}: {text.splitlines()[0]}"] if OPENINGS.match(text) else []
    assert not found, "\n".join(found)


def test_the_list_catches_what_it_is_for() -> None:
    for text in (
        "Mend it",
        "is no JSON: x",
        "5 values a parameter",
        "Go on with: x",
        "to look at twice",
        "flatters its",
    ):
        assert any(re.search(pattern, text) for pattern in AVOIDED), text
    assert NAMES.search("tell_end")
    assert not NAMES.search("retell")

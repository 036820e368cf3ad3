"""How the ranges were narrowed, as Markdown for Prefect's artifact."""

from multistage.domain.narrowing import Narrowing, ParameterNarrowing
from multistage.domain.results import Value


def describe_narrowing(stage: int, narrowing: Narrowing) -> str:
    """Write what became of each range after a stage, with the evidence.

    Args:
        stage: The stage that ended.
        narrowing: What follows from it.
    """
    rows = "\n".join(
        f"| `{note.name}` | {_show(note.before)} | {_show(note.after)} | {_weigh(note)} |" for note in narrowing.notes
    )
    sentences = "\n".join(f"- {note.evidence}" for note in narrowing.notes)
    return (
        f"# Ranges of stage {stage + 1}, from stage {stage}\n\n"
        f"| | stage {stage} | stage {stage + 1} | importance |\n|---|---|---|---|\n{rows}\n\n{sentences}\n"
    )


def _show(bounds: tuple[Value, ...]) -> str:
    return ", ".join(f"{value:.5g}" if isinstance(value, float) else str(value) for value in bounds)


def _weigh(note: ParameterNarrowing) -> str:
    return "too few runs" if note.importance is None else f"{note.importance:.0%}"

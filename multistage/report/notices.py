"""The message that tells a sweep's user what happened."""

from pathlib import Path

from multistage.domain.sweep.state import State
from multistage.report.banner import describe_gain, describe_recommendation, format_config, format_number
from multistage.report.links import name_folder


def write_notice(state: State, folder: Path, what: str, more: str = "") -> tuple[str, str]:
    """Write a message: its subject, and a text with the best so far and the links.

    Args:
        state: The sweep.
        folder: Its folder.
        what: What happened, in a few words.
        more: A sentence on it.
    """
    lines = [more, f"{state.config_id}: {state.budget_used} of {state.total_budget} runs."]
    if state.recommended is not None:
        gain = describe_gain(state)
        lines.append(f"Recommended: {format_config(state.recommended.config)}, {describe_recommendation(state)}.")
        lines += [gain] if gain else []
    elif state.best_config is not None:
        lines.append(f"Best so far: {format_number(state.best_metric)} with {format_config(state.best_config)}.")
    if state.pending_approval is not None:
        command = f"multistage-sweep approve {name_folder(state, folder)}"
        lines.append(f"Approve: {state.pending_approval.url} or `{command}`")
    lines += [f"{name}: {url}" for name, url in (("Page", state.page_url), ("Prefect", state.prefect_url)) if url]
    return f"{state.name}: {what}", "\n".join(line for line in lines if line)

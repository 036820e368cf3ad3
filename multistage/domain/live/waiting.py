"""What of a sweep waits, and why: what people ask first who look at a page that stands still."""

import shlex
from collections.abc import Iterator

from multistage.domain.live.sight import Sight
from multistage.domain.live.summary import Wait
from multistage.domain.sweep.state import State


def list_waits(state: State, sight: Sight) -> tuple[Wait, ...]:
    """List what waits, and why; nothing of a sweep that is driven no more."""
    return tuple(_find_waits(state, sight)) if state.status == "running" else ()


def _find_waits(state: State, sight: Sight) -> Iterator[Wait]:
    asked, now = state.pending_approval, state.current_stage
    if asked is not None:
        called = sight.called or shlex.quote(state.name)
        until = f" Until {asked.until:%Y-%m-%d %H:%M} UTC, then it is decided without you." if asked.until else ""
        yield Wait(
            what=f"Stage {asked.stage} waits for you.",
            why=f"Look at its ranges and press Resume, or run `multistage-sweep approve {called}`.{until}",
            link=asked.url if asked.url.startswith(("http://", "https://")) else None,
        )
    elif now is None and len(state.stages_completed) == len(state.plan):
        yield Wait(what="All stages are done.", why="The result is being settled.")
    elif now is None:
        yield Wait(
            what=f"Stage {len(state.stages_completed) + 1} is about to begin.",
            why="Its ranges and its sweep are being made.",
        )
    if sight.away:
        yield Wait(what="The W&B server does not answer.", why=f"{sight.away} It is asked again and again.")
    if now is None:
        return
    if sight.intake == "paused":
        yield Wait(
            what=f"Stage {now.stage} is paused.",
            why="Somebody paused its sweep; it continues when it is resumed there.",
        )
    elif sight.exhausted:
        yield Wait(what="No worker is left.", why="The cost cap allows no more.")
    elif now.queued:
        runs = "1 run waits" if now.queued == 1 else f"{now.queued} runs wait"
        yield Wait(what=f"{runs} for a worker.", why=_explain_queue(state, sight))


def _explain_queue(state: State, sight: Sight) -> str:
    most, present = state.options.workers, sight.present
    if state.current_stage is not None and (told := state.current_stage.waiting):
        return f"{told[0].upper()}{told[1:]}."
    if not present:
        return (
            "Workers are being started."
            if present is None or not sight.runs
            else "None is running; some are being started."
        )
    if present < most:
        return f"{present} of {most} workers are running; the others are starting, or not needed yet."
    return "The worker is busy with another run." if most == 1 else f"All {most} workers are busy with other runs."

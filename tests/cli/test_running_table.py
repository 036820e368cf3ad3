"""The trainings below the live view's bars."""

import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from multistage.cli.running_table import MOST_ENDED, MOST_RUNNING, count_starting, draw_runs
from multistage.domain.live.summary import LiveSummary
from tests.live_summaries import make_live


def show(summary: LiveSummary, width: int) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(draw_runs(summary, datetime.fromtimestamp(summary.told_at, UTC)))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_running_ones_and_the_last_that_ended_fit_a_line_each(width: int) -> None:
    lines = show(make_live(workers=12), width)
    assert len(lines) == MOST_RUNNING + 1 + MOST_ENDED
    assert all(len(line.rstrip()) <= width for line in lines)
    assert lines[MOST_RUNNING].strip() == "and 4 more"
    for line in (*lines[:MOST_RUNNING], *lines[MOST_RUNNING + 1 :]):
        name, _, duration, unit, config = line.split(maxsplit=4)
        assert name.startswith("s3-")
        assert float(duration) > 0
        assert unit in ("s", "min")
        assert config.startswith("policy_lr=")
        *shown, last = config.rstrip().split(", ")
        assert all(re.fullmatch(r"\w+=\S+", word) for word in shown), "a word was cut"
        assert last == "..." or re.fullmatch(r"gae_lambda=0\.\d+", last)


def test_of_next_to_nothing_next_to_nothing_is_shown() -> None:
    summary = make_live(workers=1)
    assert len(show(summary.model_copy(update={"runs": ()}), 80)) <= 1


@pytest.mark.parametrize(
    ("present", "running", "queued", "starting"),
    [(4, 2, 3, 2), (9, 2, 3, 3), (2, 2, 3, 0), (1, 2, 3, 0), (None, 0, 3, 0)],
)
def test_a_run_that_a_worker_has_and_that_has_not_begun_is_starting(
    present: int | None, running: int, queued: int, starting: int
) -> None:
    assert count_starting(present, running, queued) == starting

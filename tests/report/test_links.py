"""Where people are sent to look a sweep up."""

import pytest

from multistage.report.links import link_page, link_run, link_sweep
from tests.states import make_state


@pytest.mark.parametrize(
    ("tracker", "site"),
    [
        ("https://api.wandb.ai", "https://forge.coreweave.com/wandb"),
        ("https://api.company.example/", "https://app.company.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
    ids=["W&B", "a company's own", "embedded"],
)
def test_pages_are_where_the_server_has_them(tracker: str, site: str) -> None:
    state = make_state(tracker_url=tracker).model_copy(update={"entity": "me", "project": "odd project"})
    assert link_sweep(state, "abc") == f"{site}/me/odd%20project/sweeps/abc"
    assert link_page(state) == f"{site}/me/odd%20project"
    assert link_run(state, "one/two") == f"{site}/me/odd%20project/runs/one%2Ftwo"


@pytest.mark.parametrize("tracker", [None, "javascript:alert(1)//"])
def test_nobody_is_sent_nowhere(tracker: str | None) -> None:
    state = make_state(tracker_url=tracker)
    assert link_sweep(state, "abc") is link_page(state) is None

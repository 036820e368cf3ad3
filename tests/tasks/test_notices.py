"""What a sweep's end is called in the message that tells of it, sent to a real service on this machine."""

from pathlib import Path

import pytest

from multistage.domain.sweep.state import PendingApproval
from multistage.errors import ApprovalError, LaunchError
from multistage.report.notices import write_notice
from tasks.notices import notify_end
from tests.sinks import open_sink
from tests.states import make_state


@pytest.mark.parametrize(
    ("because", "error", "title"),
    [
        ("budget used", None, "done"),
        ("cost cap of $5.00", None, "done, cost cap reached"),
        (None, LaunchError("No node answers.", ""), "failed"),
        (None, ApprovalError("Nobody approved stage 2.", ""), "stopped"),
    ],
)
def test_an_end_is_called_by_its_name(
    because: str | None, error: Exception | None, title: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MULTISTAGE_HOME", str(tmp_path))
    state = make_state(3, ended_because=because)
    state = state.model_copy(update={"options": state.options.model_copy(update={"notify": "phone"})})
    with open_sink() as sink:
        monkeypatch.setenv("MULTISTAGE_NOTIFY_PHONE", sink.url)
        notify_end(state, tmp_path, error)
    (told,) = sink.told
    assert told["title"] == f"{state.name}: {title}"
    if error is not None:
        assert str(error) in told["message"]


def test_who_is_asked_is_told_where_the_sweep_lies(tmp_path: Path) -> None:
    asked = PendingApproval(stage=2, proposed={}, url="http://x")
    state = make_state(1, pending_approval=asked)
    assert f"`multistage-sweep approve {tmp_path}`" in write_notice(state, tmp_path, "waits")[1]
    assert "`multistage-sweep approve made`" in write_notice(state, state.options.directory / "runs/made", "waits")[1]

"""Which machine a process is on: by its name and its boot."""

import pytest

from multistage import machines
from multistage.machines import describe_machine, is_here, name_host


@pytest.mark.parametrize(
    ("host", "mark", "here"),
    [
        ("login1", "boot-a", True),
        ("laptop-at-work", "boot-a", True),  # it got another name, or is a container of this machine
        ("login1", "boot-b", True),  # it was started anew
        ("login2", "boot-b", False),
        ("login2", "", False),
        ("login1", "", True),
    ],
)
def test_a_machine_is_known_again(monkeypatch: pytest.MonkeyPatch, host: str, mark: str, here: bool) -> None:
    monkeypatch.setattr(machines, "read_host", lambda: "login1")
    monkeypatch.setattr(machines, "read_mark", lambda: "boot-a")
    written = describe_machine()
    assert written == "login1 boot-a"
    monkeypatch.setattr(machines, "read_host", lambda: host)
    monkeypatch.setattr(machines, "read_mark", lambda: mark)
    assert is_here(written) == here
    assert is_here(describe_machine())
    assert name_host(written) == "login1"


def test_what_earlier_releases_wrote_is_of_this_machine() -> None:
    assert is_here("")


def test_machines_that_tell_no_mark_are_told_apart_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "read_mark", lambda: "")
    written = describe_machine()
    monkeypatch.setattr(machines, "read_host", lambda: "another")
    assert not is_here(written)

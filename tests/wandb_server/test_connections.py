"""How many connections a server takes that may open few files."""

import resource

import pytest

from multistage.wandb_server.connections import MOST_CONNECTIONS, bound_connections


@pytest.mark.parametrize(
    ("files", "connections"), [(12, 8), (64, 32), (256, 160), (100_000, MOST_CONNECTIONS)], ids=str
)
def test_few_files_are_room_for_a_small_sweep(files: int, connections: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert bound_connections() == connections

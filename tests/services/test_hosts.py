"""The embedded server on a further address: opened where it is asked for, on its port, and taken back by `down`."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from multistage.errors import UsageError
from multistage.services import ensure_wandb_server, stop_services
from multistage.services.embedded import find_wandb_server
from multistage.services.hosts import choose_host, find_address
from multistage.services.local_service import answers
from multistage.settings import Settings


def test_this_machine_serves_workers_on_this_machine_on_loopback_alone() -> None:
    assert choose_host(None, "127.0.0.1") is None
    assert choose_host("localhost", None) is None


@pytest.mark.parametrize("host", ["192.0.2.77", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=f"{host} is not an address of this machine"):
        choose_host(host, None)


def test_a_machine_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multistage.services.hosts.find_address", lambda _: None)
    with pytest.raises(UsageError, match="no address that other machines could reach"):
        choose_host("auto", None)


def test_the_server_listens_on_a_further_address_as_long_as_it_is_up(tmp_path: Path) -> None:
    address = find_address()
    if address is None:
        pytest.skip("this machine has no network")
    settings = Settings(home=tmp_path)
    try:
        first = ensure_wandb_server(settings)
        port = urlsplit(first.url).port
        assert not can_connect(address, port)
        opened = ensure_wandb_server(settings, address)
        assert (opened.url, opened.key, opened.started) == (first.url, first.key, True)
        assert answers(f"{opened.url}/healthz")
        assert answers(f"{opened.name_url(address)}/healthz")
        again = ensure_wandb_server(settings, address)
        assert (again.pid, again.started) == (opened.pid, False)
        found = find_wandb_server(settings)
        assert found is not None
        assert found.listens_on(address)
        stop_services(settings)
        assert not ensure_wandb_server(settings).listens_on(address)
        assert not can_connect(address, port)
    finally:
        stop_services(settings)


def can_connect(host: str, port: int | None) -> bool:
    try:
        with socket.create_connection((host, port or 0), timeout=2):
            return True
    except OSError:
        return False

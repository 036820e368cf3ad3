"""A way by ssh to a server that listens on another machine's loopback alone."""

import urllib.error
import urllib.request

import pytest

from multistage.errors import TrackerError, UsageError
from multistage.worker.tunnel import Tunnel
from tests.server_process import ServerProcess
from tests.slurm_cluster import wait_until
from tests.ssh_hosts import SshHosts, needs_ssh


def is_reached(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:  # noqa: S310 - the tunnel's own
            return bool(answer.status == 200)
    except OSError:
        return False


@needs_ssh
def test_a_tunnel_opens_again_and_ends_with_its_worker(ssh_hosts: SshHosts, wandb_server: ServerProcess) -> None:
    with Tunnel("ssh:host1", wandb_server.environment["WANDB_BASE_URL"]) as tunnel:
        assert is_reached(tunnel.url)
        for connection in ssh_hosts.list_connections():
            connection.kill()
        wait_until(lambda: is_reached(tunnel.url), "the tunnel to open again")
    assert ssh_hosts.list_clients() == []
    with pytest.raises(TrackerError, match=r"No tunnel opens by way of stranger: .*Permission denied"):
        Tunnel("ssh:stranger", "http://127.0.0.1:9").__enter__()
    assert ssh_hosts.list_clients() == []


@pytest.mark.parametrize(
    ("way", "url"), [("host1", "http://a:1"), ("ssh:", "http://a:1"), ("ssh:-F", "http://a:1"), ("ssh:a", "https://a")]
)
def test_what_is_no_tunnel_is_refused(way: str, url: str) -> None:
    with pytest.raises(UsageError):
        Tunnel(way, url)

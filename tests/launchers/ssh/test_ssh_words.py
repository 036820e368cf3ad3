"""What is said of hosts and what they complain of, without any."""

import pytest

from multistage.errors import CloudAwayError, LaunchError, UsageError
from multistage.launchers.gpus import Gpus
from multistage.launchers.ssh.connection import build_environment
from multistage.launchers.ssh.errand import Errand, Needs, choose_gpus
from multistage.launchers.ssh.refusals import RefusalError, explain_failure
from multistage.options.ssh import Host, parse_hosts

NEEDS = Needs("/env/bin/python", "/work", True, None, (), None, None)


def test_hosts_are_read_with_their_workers() -> None:
    assert parse_hosts("a, me@b:2,c.example.org:10") == (Host("a", 1), Host("me@b", 2), Host("c.example.org", 10))


@pytest.mark.parametrize("text", ["", "a,", "a:0", "a:b", "a b", "-oProxyCommand=id", "a,a:2", "a:1000"])
def test_what_names_no_hosts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it "):
        parse_hosts(text)


def test_all_hosts_get_a_worker_before_any_gets_a_second_one() -> None:
    hosts = parse_hosts("a,b:2,c:3")
    errand = Errand(hosts, NEEDS, "/logs", {"WANDB_BASE_URL": "https://api.wandb.ai"})
    assert [(host.address, seat) for host, seat in errand.list_seats()] == [
        ("a", 0), ("b", 0), ("c", 0), ("b", 1), ("c", 1), ("c", 2),
    ]  # fmt: skip


def test_only_a_server_on_loopback_needs_a_way_back() -> None:
    far = Errand(parse_hosts("a"), NEEDS, "/logs", {"WANDB_BASE_URL": "https://api.wandb.ai", "WANDB_API_KEY": "k"})
    near = Errand(parse_hosts("a"), NEEDS, "/logs", {"WANDB_BASE_URL": "http://localhost:4123", "WANDB_API_KEY": "k"})
    assert (far.server_port, near.server_port) == (None, 4123)
    assert far.fill_variables(None) == far.variables
    assert near.fill_variables(555) == {"WANDB_BASE_URL": "http://127.0.0.1:555", "WANDB_API_KEY": "k"}
    assert "'k'" not in repr(near)


@pytest.mark.parametrize(
    ("gpus", "workers", "per_run", "dealt"),
    [
        (4, 2, None, [("0", "1"), ("2", "3")]),
        (2, 3, None, [("0",), ("1",), ("0",)]),
        (2, 4, 0.5, [("0",), ("1",), ("0",), ("1",)]),
        (4, 2, 2, [("0", "1"), ("2", "3")]),
        (4, 2, 0, [(), ()]),
        (0, 2, None, [(), ()]),
    ],
)
def test_each_worker_of_a_host_has_gpus_of_its_own(
    gpus: int, workers: int, per_run: float | None, dealt: list[tuple[str, ...]]
) -> None:
    found = Gpus(devices=tuple(map(str, range(gpus))))
    assert [choose_gpus(found, Host("a", workers), seat, per_run) for seat in range(workers)] == dealt


def test_a_host_with_too_few_gpus_is_refused() -> None:
    with pytest.raises(UsageError, match="enough for 1 workers"):
        choose_gpus(Gpus(devices=("0",)), Host("a", 2), 0, 1)


@pytest.mark.parametrize(
    ("code", "said", "kind", "words"),
    [
        (255, "me@a: Permission denied (publickey).", RefusalError, "a refuses the key: me@a: Permission denied"),
        (255, "Host key verification failed.", RefusalError, "a is not known"),
        (255, "ssh: Could not resolve hostname a: Name or service not known", RefusalError, "does not find the host a"),
        (255, "ssh: connect to host a port 22: Connection timed out", CloudAwayError, "does not answer: ssh: connect"),
        (255, "", CloudAwayError, "does not answer: exit code 255"),
        (1, "/bin/py: No module named multistage", LaunchError, "has not what a worker needs: No module named"),
        (1, "ModuleNotFoundError: No module named 'psutil'", LaunchError, "needs: No module named 'psutil'"),
        (127, "sh: 1: /bin/py: not found", LaunchError, "a has no Python at /bin/py"),
        (1, "MemoryError", LaunchError, "/bin/py failed: MemoryError"),
    ],
)
def test_a_complaint_tells_whether_to_wait_or_to_see_to_it(
    code: int, said: str, kind: type[LaunchError], words: str
) -> None:
    error = explain_failure("a", "/bin/py", code, said)
    assert type(error) is kind
    assert words in error.message
    assert error.hint


def test_no_key_is_among_the_variables_of_ssh() -> None:
    given = {"WANDB_API_KEY": "k", "PREFECT_API_AUTH_STRING": "p", "SSH_AUTH_SOCK": "/s", "PATH": "/bin"}
    assert build_environment(given) == {"SSH_AUTH_SOCK": "/s", "PATH": "/bin"}

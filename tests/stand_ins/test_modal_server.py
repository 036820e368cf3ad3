"""The unmodified client and container entrypoint against the stand-in."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import modal
import psutil
import pytest
from modal.exception import FunctionTimeoutError, NotFoundError, RemoteError
from modal.exception import TimeoutError as ModalTimeoutError

from tests.stand_ins.modal_server import ModalServer

HERE = Path(__file__).parent


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def deploy(server: ModalServer) -> subprocess.CompletedProcess[str]:
    """As a user does."""
    return subprocess.run(
        [sys.executable, "-m", "modal", "deploy", str(HERE / "sample_app.py")],
        env=server.environment | {"PATH": "/usr/bin:/bin", "HOME": str(server.plane.folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModalServer]:
    secrets = {"wandb-secret": {"WANDB_API_KEY": "k" * 40}}
    with ModalServer(tmp_path_factory.mktemp("m"), secrets) as server:
        found = deploy(server)
        assert found.returncode == 0, found.stdout + found.stderr
        yield server


@pytest.fixture(scope="module")
def client(server: ModalServer) -> Iterator[modal.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODAL_SERVER_URL", server.url)
        with modal.Client.from_credentials("ak-stand-in", "as-stand-in") as client:
            yield client


@pytest.fixture
def find(client: modal.Client) -> Callable[[str], "modal.Function[Any, Any, Any]"]:
    return lambda name: modal.Function.from_name("sample", name, client=client)


Find = Callable[[str], "modal.Function[Any, Any, Any]"]


def test_call_runs_in_a_process_with_the_secret(find: Find) -> None:
    call = find("add").spawn(2, 3)
    result = call.get(timeout=30)
    assert (result["sum"], result["key"]) == (5, "k" * 40)
    assert not psutil.pid_exists(result["pid"]) or psutil.Process(result["pid"]).name() != "pytest"


def test_call_is_found_by_its_id_and_pending_is_the_builtin_timeout(
    find: Find, client: modal.Client, tmp_path: Path
) -> None:
    call_id = find("linger").spawn(str(tmp_path), 1.0).object_id
    again = modal.FunctionCall.from_id(call_id, client=client)
    with pytest.raises(TimeoutError) as pending:
        again.get(timeout=0)
    assert not isinstance(pending.value, ModalTimeoutError)
    assert again.get(timeout=30) == "done"


def test_large_values_travel_as_blobs(find: Find) -> None:
    text = "x" * 50_000
    assert find("echo").spawn(text).get(timeout=30) == text


def test_remote_exception_is_raised_here(find: Find) -> None:
    with pytest.raises(ValueError, match="a reason"):
        find("fail").spawn("a reason").get(timeout=30)


def test_timeout_ends_everything_in_the_container(find: Find, tmp_path: Path) -> None:
    call = find("linger").with_options(timeout=1).spawn(str(tmp_path), 60.0)
    with pytest.raises(FunctionTimeoutError):
        call.get(timeout=30)
    wait_until(lambda: not psutil.pid_exists(int((tmp_path / "child").read_text())))


def test_cancel_interrupts_the_function(find: Find, tmp_path: Path) -> None:
    call = find("linger").spawn(str(tmp_path), 60.0)
    wait_until((tmp_path / "child").exists)
    call.cancel()
    call.cancel()
    with pytest.raises(RemoteError):
        call.get(timeout=30)
    assert (tmp_path / "ended").read_text() == "InputCancellation"


def test_cancel_of_a_waiting_call_never_runs_it(server: ModalServer, find: Find, tmp_path: Path) -> None:
    function = find("linger").with_options(max_containers=1, timeout=40)
    first, second = (tmp_path / "1"), (tmp_path / "2")
    first.mkdir()
    second.mkdir()
    running = function.spawn(str(first), 60.0)
    wait_until((first / "child").exists)
    waiting = function.spawn(str(second), 60.0)
    waiting.cancel()
    with pytest.raises(RemoteError):
        waiting.get(timeout=10)
    running.cancel(terminate_containers=True)
    assert not list(second.iterdir())


def find_container(server: ModalServer, call_id: str) -> Any:
    call = next(call for call in server.list_calls() if call.call_id == call_id)
    wait_until(lambda: call.container is not None)
    return call.container


def test_killed_container_has_its_call_taken_by_another(server: ModalServer, find: Find, tmp_path: Path) -> None:
    call = find("linger").spawn(str(tmp_path), 1.5)
    wait_until((tmp_path / "child").exists)
    server.kill(find_container(server, call.object_id))
    assert call.get(timeout=30) == "done"
    assert sorted(path.name for path in tmp_path.glob("start-*")) == ["start-0", "start-1"]


def test_preempted_container_is_warned_and_its_call_is_taken_by_another(
    server: ModalServer, find: Find, tmp_path: Path
) -> None:
    call = find("linger").spawn(str(tmp_path), 1.5)
    wait_until((tmp_path / "child").exists)
    server.preempt(find_container(server, call.object_id))
    assert call.get(timeout=30) == "done"
    assert (tmp_path / "ended").read_text() == "KeyboardInterrupt"


def test_lost_reply_spawns_once(server: ModalServer, find: Find) -> None:
    before = len(server.list_calls())
    server.wire.lost_replies["FunctionMap"] = 2
    assert find("echo").spawn("once").get(timeout=30) == "once"
    assert len(server.list_calls()) == before + 1


def test_client_outlives_a_control_plane_that_is_away(server: ModalServer, find: Find) -> None:
    call = find("echo").spawn("later")
    server.wire.away = True
    try:
        with pytest.raises(modal.exception.Error):
            call.get(timeout=0)
    finally:
        server.wire.away = False
    assert call.get(timeout=30) == "later"


def test_unknown_app_is_not_found(client: modal.Client) -> None:
    with pytest.raises(NotFoundError):
        modal.Function.from_name("no-such-app", "add", client=client).hydrate()


def test_second_deployment_replaces_the_first(server: ModalServer, find: Find) -> None:
    assert deploy(server).returncode == 0
    (app,) = [app for app in server.plane.apps.values() if app.name == "sample"]
    assert app.deployments >= 2
    assert find("add").spawn(1, 1).get(timeout=30)["sum"] == 2


@pytest.mark.parametrize(
    ("secrets", "words"),
    [({}, "not found"), ({"wandb-secret": {"OTHER": "x"}}, "WANDB_API_KEY")],
    ids=["no secret", "no key in it"],
)
def test_deployment_without_the_secret_fails(
    tmp_path_factory: pytest.TempPathFactory, secrets: dict[str, dict[str, str]], words: str
) -> None:
    with ModalServer(tmp_path_factory.mktemp("m"), secrets) as server:
        found = deploy(server)
        assert found.returncode != 0
        assert words in found.stdout + found.stderr


def test_wrong_token_is_refused(server: ModalServer) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "modal", "app", "list"],
        env=server.environment | {"MODAL_TOKEN_SECRET": "wrong", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode != 0


def test_import_error_in_containers_ends_the_call(tmp_path_factory: pytest.TempPathFactory) -> None:
    secrets = {"wandb-secret": {"WANDB_API_KEY": "k" * 40}}
    with ModalServer(tmp_path_factory.mktemp("m"), secrets) as server:
        assert deploy(server).returncode == 0
        server.plane.absent = ("subprocess",)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MODAL_SERVER_URL", server.url)
            with modal.Client.from_credentials("ak-stand-in", "as-stand-in") as client:
                call = modal.Function.from_name("sample", "echo", client=client).spawn("never")
                with pytest.raises((ModuleNotFoundError, RemoteError)):
                    call.get(timeout=30)

"""Three attacks from a page of another origin and from another user's process: on a server as it was, and as it is."""

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from multistage.domain.workers.variables import PREFECT_AUTH
from multistage.services import PrefectServer, ensure_prefect_worker, renew_prefect, stop_services
from multistage.services.local_service import answers
from multistage.services.prefect import find_own_prefect_server, lets_everyone_in
from multistage.services.prefect_client import open_prefect_client
from multistage.services.prefect_worker import build_worker_service
from multistage.services.registration import register_with_prefect
from multistage.settings import Settings
from tests.browser import Browser
from tests.services.prefect_attacks import Attacks, Send, send_from_page, send_from_process, start_open_server

PAGE = '<!doctype html><html lang=en><link rel=icon href="data:,"><title>elsewhere</title><p>nothing to see'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page of another origin on this machine."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text(PAGE)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(params=["page", "process"])
def attacker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def aim(attacker: str, server: PrefectServer, request: pytest.FixtureRequest) -> Send:
    if attacker == "process":
        return send_from_process(server.api_url)
    browser: Browser = request.getfixturevalue("browser")
    browser.open(request.getfixturevalue("page"))
    return send_from_page(browser, server.api_url)


@pytest.fixture(scope="module")
def old_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Services of an older release, in an environment that configures no Prefect."""
    settings = Settings(home=tmp_path_factory.mktemp("older"))
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("PREFECT_"):
                patch.delenv(name)
        patch.setenv("PREFECT_HOME", str(settings.home / "client"))
        patch.chdir(settings.home)
        yield settings
        stop_services(settings)


@pytest.fixture(scope="module")
def old_server(old_settings: Settings) -> PrefectServer:
    """A server without a secret, and a worker that runs deployments."""
    server = start_open_server(old_settings)
    register_with_prefect(server)
    ensure_prefect_worker(old_settings, server)
    return server


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_before_all_three_succeeded(
    old_server: PrefectServer, attacker: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    attacks = Attacks(old_server, aim(attacker, old_server, request))
    assert attacks.read_run()
    assert attacks.delete_run()
    marker = tmp_path / "marker"
    assert attacks.run_shell(marker)
    deadline = time.monotonic() + 120
    while not marker.exists():
        assert time.monotonic() < deadline, "the shell command was never run"
        time.sleep(0.1)


def test_none_of_the_three_succeeds(
    prefect_server: PrefectServer, attacker: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    register_with_prefect(prefect_server)
    attacks = Attacks(prefect_server, aim(attacker, prefect_server, request))
    assert not attacks.read_run()
    assert not attacks.delete_run()
    assert not attacks.run_shell(tmp_path / "marker")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_of_an_older_release_gets_a_secret_once_no_sweep_is_live(
    old_server: PrefectServer, old_settings: Settings
) -> None:
    worker = ensure_prefect_worker(old_settings, old_server)
    assert "once no sweep is live" in renew_prefect(old_settings, lambda: False)
    assert lets_everyone_in(old_server.api_url)
    assert psutil.pid_exists(worker.pid)

    assert "restarted" in renew_prefect(old_settings, lambda: True)
    server = find_own_prefect_server(old_settings)
    assert server is not None
    assert server.api_url == old_server.api_url
    assert server.secret is not None
    assert not lets_everyone_in(server.api_url)
    with open_prefect_client(server) as client:
        assert "private" in {run.name for run in client.read_flow_runs()}, "its data stays"
    record = build_worker_service(old_settings).find()
    assert record is not None
    assert record.pid != worker.pid
    assert psutil.Process(record.pid).environ()[PREFECT_AUTH] == server.secret
    assert answers(f"http://127.0.0.1:{record.port}/health")
    assert renew_prefect(old_settings, lambda: True) == ""
    assert ensure_prefect_worker(old_settings, server).pid == record.pid

"""The Prefect server: one's own, and a configured one."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from multistage.domain.workers.variables import PREFECT_AUTH
from multistage.errors import ServiceError
from multistage.services import PrefectServer, ensure_prefect_server, inspect_services
from multistage.services.local_service import find_free_port
from multistage.services.prefect import build_environment, derive_ui_url, read_configured_url
from multistage.settings import Settings


@pytest.fixture(autouse=True)
def unconfigured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a Prefect home in which nothing is configured; returns the folder."""
    for name in os.environ:
        if name.startswith("PREFECT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect_home"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def read(url: str) -> object:
    with urllib.request.urlopen(url, timeout=20) as response:  # noqa: S310
        return json.load(response)


def test_its_own_server_is_reused_and_its_pages_know_its_api(
    prefect_server: PrefectServer, services_home: Settings
) -> None:
    again = ensure_prefect_server(services_home)
    assert not again.started
    assert (again.api_url, again.pid) == (prefect_server.api_url, prefect_server.pid)
    assert inspect_services(services_home).prefect == again
    assert read(f"{again.api_url}/health") is True
    pages = read(f"{again.ui_url}/ui-settings")
    assert isinstance(pages, dict)
    assert pages["api_url"] == again.api_url


def test_its_own_server_keeps_everything_in_its_folder_and_off_the_network(
    prefect_server: PrefectServer, services_home: Settings
) -> None:
    assert (services_home.prefect_folder / "prefect.db").exists()
    assert prefect_server.pid is not None
    process = psutil.Process(prefect_server.pid)
    assert {each.laddr.ip for each in process.net_connections() if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    inside = str(services_home.prefect_folder)
    databases = [file.path for file in process.open_files() if ".db" in Path(file.path).name]
    assert databases
    assert all(path.startswith(inside) for path in databases)


def test_its_own_address_in_the_environment_is_still_its_own(
    prefect_server: PrefectServer, services_home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server.api_url)
    assert ensure_prefect_server(services_home).pid == prefect_server.pid


def test_a_configured_server_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Closed) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        settings = Settings(home=tmp_path / "home")
        expected = PrefectServer(api_url=url, ui_url=url.removesuffix("/api"), pid=None, started=False)
        assert ensure_prefect_server(settings) == expected == inspect_services(settings).prefect
        assert not settings.home.exists()
        server.shutdown()


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/api", "ftp://127.0.0.1:{port}/api"])
def test_a_configured_server_that_does_not_answer_is_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = url.format(port=find_free_port())
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(ServiceError, match=url) as caught:
        ensure_prefect_server(Settings(home=tmp_path / "home"))
    assert "PREFECT_API_URL" in caught.value.hint


PROFILES = """
active = "mine"
[profiles.mine]
PREFECT_API_URL = "http://profile/api"
[profiles.other]
PREFECT_API_URL = "http://other/api"
"""
SOURCES = [
    {"profiles.toml": PROFILES},
    {"pyproject.toml": '[tool.prefect.api]\nurl = "http://pyproject/api"\n'},
    {"prefect.toml": '[api]\nurl = "http://toml/api"\n'},
    {".env": 'PREFECT_API_URL="http://dotenv/api"\n'},
]


def ask_prefect() -> str | None:
    """Let Prefect itself resolve its API's URL for the current folder and environment."""
    from prefect.settings import Settings as PrefectSettings

    url = PrefectSettings().api.url
    return str(url).rstrip("/") if url else None


@pytest.mark.parametrize(
    ("files", "variables", "expected"),
    [
        *((source, {}, url) for source, url in zip(SOURCES, ("profile", "pyproject", "toml", "dotenv"), strict=True)),
        (SOURCES[0] | SOURCES[1], {}, "pyproject"),
        (SOURCES[0] | SOURCES[1] | SOURCES[2], {}, "toml"),
        (SOURCES[1] | SOURCES[2] | SOURCES[3], {}, "dotenv"),
        (SOURCES[2] | SOURCES[3], {"PREFECT_API_URL": "http://environment/api/"}, "environment"),
        (SOURCES[0], {"PREFECT_PROFILE": "other"}, "other"),
        (SOURCES[0], {"PREFECT_PROFILE": "unknown"}, None),
        ({"profiles.toml": 'active = "local"'}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_configured_address_is_read_as_prefect_reads_it(
    files: Mapping[str, str],
    variables: Mapping[str, str],
    expected: str | None,
    unconfigured: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = Path(os.environ["PREFECT_HOME"])
    home.mkdir()
    for name, content in files.items():
        ((home if name == "profiles.toml" else unconfigured) / name).write_text(content)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    wanted = f"http://{expected}/api" if expected else None
    assert read_configured_url(unconfigured) == wanted
    assert ask_prefect() == wanted


def test_a_damaged_settings_file_is_named(unconfigured: Path) -> None:
    (unconfigured / "prefect.toml").write_text("[api")
    with pytest.raises(ServiceError, match=r"prefect\.toml is not valid TOML"):
        read_configured_url(unconfigured)


def test_a_server_of_ones_own_ignores_what_is_meant_for_clients(tmp_path: Path) -> None:
    environment = build_environment(
        tmp_path, 5, "me:key", {"PATH": "/bin", "PREFECT_API_URL": "x", "PREFECT_PROFILE": "y", PREFECT_AUTH: "other"}
    )
    assert environment["PATH"] == "/bin"
    assert not {"PREFECT_API_URL", "PREFECT_PROFILE", PREFECT_AUTH} & set(environment)
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_the_pages_of_an_api() -> None:
    assert derive_ui_url("http://10.0.0.1:4200/api") == "http://10.0.0.1:4200"
    cloud = "https://api.prefect.cloud/api/accounts/A/workspaces/W"
    assert derive_ui_url(cloud) == "https://app.prefect.cloud/account/A/workspace/W"


def test_importing_the_services_does_not_import_prefect() -> None:
    code = "import multistage.services, sys; sys.exit('prefect' in sys.modules or 'wandb' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

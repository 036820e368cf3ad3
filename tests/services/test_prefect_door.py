"""Whoever lacks the secret gets nothing of the Prefect server: by no path, by no websocket, under no other name."""

import base64
import json
import re
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import psutil
import pytest
from fastapi.routing import APIWebSocketRoute
from prefect.server.api.server import API_ROUTERS
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Subprotocol

from multistage.domain.workers.variables import PREFECT_AUTH
from multistage.services import PrefectServer, enter_prefect_server
from multistage.settings import Settings
from tests.browser import Browser
from tests.services.prefect_attacks import find_stranger, run_as_stranger

HOSTS = ("127.0.0.1", "localhost", "evil.example", "evil.example:4200")
OPEN = {("GET", "/api/health"), ("GET", "/api/ready")}
"""What Prefect answers to everybody, so that a machine can look whether it lives."""
UNLISTED = ("/api/docs", "/api/redoc", "/api/openapi.json", "/api/static/", "/api/metrics", "/api/nowhere",
            "/api/variables/name/health", "/api/health/", "/api//health", "/api/admin/../health")  # fmt: skip
"""Paths of the API that its own list leaves out, or that look like the open ones."""
SOCKETS = sorted(
    route.path for router in API_ROUTERS for route in router.routes if isinstance(route, APIWebSocketRoute)
)


def encode(secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}


@pytest.fixture
def secret(prefect_server: PrefectServer) -> str:
    assert prefect_server.secret is not None
    return prefect_server.secret


class Caller:
    """Somebody with one connection to the server."""

    def __init__(self, server: PrefectServer) -> None:
        port = urlsplit(server.api_url).port
        assert port is not None
        self.connection = HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        self.connection.request(method, path, headers=dict(headers))
        answer = self.connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.fixture
def caller(prefect_server: PrefectServer) -> Iterator[Caller]:
    caller = Caller(prefect_server)
    with closing(caller.connection):
        yield caller


def list_routes(caller: Caller, secret: str) -> list[tuple[str, str]]:
    status, _, body = caller.ask("GET", "/api/openapi.json", encode(secret))
    assert status == 200
    paths = json.loads(body)["paths"]
    return [
        (method.upper(), "/api" + re.sub(r"\{.*?\}", "00000000-0000-0000-0000-000000000000", path))
        for path, methods in paths.items()
        for method in methods
    ]


def test_no_path_of_the_api_answers_without_the_secret(caller: Caller, secret: str) -> None:
    routes = list_routes(caller, secret)
    assert len(routes) > 150
    asked = {*routes, *(("GET", path) for path in UNLISTED), ("POST", "/api/health"), ("HEAD", "/api/admin/version")}
    wrong = (encode(secret + "x"), encode(secret.partition(":")[2]), {"Authorization": f"Bearer {secret}"})
    for method, path in sorted(asked - OPEN):
        for headers in (*({"Host": host} for host in HOSTS), *wrong):
            status, _, body = caller.ask(method, path, headers)
            assert status == 401, (method, path, headers, body)
    for method, path in OPEN:
        assert caller.ask(method, path, {})[0] == 200, path
    assert caller.ask("GET", "/api/admin/version", encode(secret))[0] == 200


def test_what_is_open_tells_nothing_of_the_users(caller: Caller, secret: str) -> None:
    """The pages themselves are Prefect's own, and ask for the password before they show anything."""
    for path in ("/ui-settings", "/openapi.json", "/docs", "/", "/api/health", "/api/ready"):
        status, headers, body = caller.ask("GET", path, {"Origin": "http://evil.example", "Host": "evil.example"})
        assert status in (200, 307), path
        assert "access-control-allow-origin" not in headers
        assert secret.partition(":")[2].encode() not in body
    assert json.loads(caller.ask("GET", "/ui-settings", {})[2])["auth"] == "BASIC"


def test_no_other_origin_may_read_or_ask(caller: Caller, prefect_server: PrefectServer, secret: str) -> None:
    asked = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
    for origin in ("http://evil.example", "http://127.0.0.1:1", "null", prefect_server.ui_url + "0"):
        _, headers, _ = caller.ask("GET", "/api/admin/version", {"Origin": origin, **encode(secret)})
        assert "access-control-allow-origin" not in headers
        status, headers, _ = caller.ask("OPTIONS", "/api/flow_runs/filter", {"Origin": origin, **asked})
        assert status == 400
        assert "access-control-allow-origin" not in headers
    _, headers, _ = caller.ask("OPTIONS", "/api/flow_runs/filter", {"Origin": prefect_server.ui_url, **asked})
    assert headers["access-control-allow-origin"] == prefect_server.ui_url


@contextmanager
def open_socket(
    server: PrefectServer, path: str, host: str, *subprotocols: str, **headers: str
) -> Iterator[Connection]:
    port = urlsplit(server.api_url).port
    with (
        socket.create_connection(("127.0.0.1", port or 0), timeout=20) as wire,
        connect(
            f"ws://{host}/api{path.replace('{work_pool_name}', 'multistage')}",
            sock=wire,
            proxy=None,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            additional_headers=headers,
        ) as opened,
    ):
        yield opened


def test_there_are_the_websockets_that_are_known() -> None:
    assert set(SOCKETS) >= {"/events/in", "/events/out", "/logs/out", "/task_runs/subscriptions/scheduled"}


@pytest.mark.parametrize("path", SOCKETS)
def test_no_websocket_answers_without_the_secret(prefect_server: PrefectServer, secret: str, path: str) -> None:
    for host in ("127.0.0.1", "evil.example"):
        with pytest.raises(InvalidStatus), open_socket(prefect_server, path, host, **encode(secret)):
            pass
        for greeting in (
            {"type": "auth"},
            {"type": "auth", "token": None},
            {"type": "auth", "token": ""},
            {"type": "auth", "token": secret + "x"},
            {"type": "auth", "token": secret.partition(":")[2]},
            {"type": "subscribe", "keys": ["a"], "client_id": "a"},
            {"type": "filter", "filter": {}},
        ):
            with open_socket(prefect_server, path, host, "prefect") as opened:
                opened.send(json.dumps(greeting))
                with pytest.raises(ConnectionClosed) as closed:
                    opened.recv(timeout=20)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1008
    with open_socket(prefect_server, path, "127.0.0.1", "prefect") as opened:
        opened.send(json.dumps({"type": "auth", "token": secret}))
        assert json.loads(opened.recv(timeout=20)) == {"type": "auth_success"}


def test_the_secret_stays_in_its_file(prefect_server: PrefectServer, services_home: Settings, secret: str) -> None:
    folder, key = services_home.prefect_folder, secret.partition(":")[2]
    assert len(key) == 40
    assert services_home.prefect_key.read_text().strip() == key
    assert stat.S_IMODE(services_home.prefect_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert key not in repr(prefect_server)
    server = psutil.Process(prefect_server.pid)
    assert not [one for one in (server, *server.children(recursive=True)) if key in " ".join(one.cmdline())]
    told = (key.encode(), base64.b64encode(secret.encode()))
    others = [path for path in folder.rglob("*") if path.is_file() and path != services_home.prefect_key]
    assert {"server.log", "prefect.db"} <= {path.name for path in others}
    assert not [path for path in others if any(form in path.read_bytes() for form in told)]


def test_another_user_can_read_neither_the_file_nor_the_servers_environment(
    prefect_server: PrefectServer, services_home: Settings
) -> None:
    if find_stranger().user is None:
        pytest.skip("Only root can become another user.")
    for path in (str(services_home.prefect_key), f"/proc/{prefect_server.pid}/environ"):
        assert "PermissionError" in run_as_stranger("import sys; open(sys.argv[1]).read()", path).stderr


def test_the_secret_goes_to_no_other_server(
    services_home: Settings, prefect_server: PrefectServer, secret: str
) -> None:
    foreign = PrefectServer(api_url="https://elsewhere/api", ui_url="https://elsewhere", pid=None, started=False)
    for held, left in ((secret, None), ("theirs:1", "theirs:1"), (None, None)):
        environment = {"PREFECT_API_URL": "x"} | ({PREFECT_AUTH: held} if held else {})
        enter_prefect_server(foreign, services_home, environment)
        assert environment == {"PREFECT_API_URL": "https://elsewhere/api"} | ({PREFECT_AUTH: left} if left else {})
    environment = {PREFECT_AUTH: "theirs:1"}
    enter_prefect_server(prefect_server, services_home, environment)
    assert environment == {"PREFECT_API_URL": prefect_server.api_url, PREFECT_AUTH: secret}


def test_the_pages_ask_once_for_the_password(prefect_server: PrefectServer, secret: str, browser: Browser) -> None:
    def find_field() -> list[WebElement]:
        return browser.find("input[type=password]")

    def is_inside() -> bool:
        return "Logout" in "".join(browser.read("body"))

    browser.open(prefect_server.ui_url)
    (field,) = browser.wait(find_field, 60)
    assert not is_inside()
    field.send_keys("multistage:wrong", Keys.ENTER)
    browser.wait(lambda: "Invalid credentials" in "".join(browser.read("body")), 60)
    (field,) = find_field()
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(secret, Keys.ENTER)
    browser.wait(is_inside, 60)
    browser.open(prefect_server.ui_url)
    browser.wait(is_inside, 60)
    assert not find_field()

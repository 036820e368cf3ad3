"""Who sees the pages: a browser with a login, and nobody else; and that a login is good for looking alone."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from multistage.wandb_server.pages import login_links
from tests.server_process import ServerProcess
from tests.wandb_server.server_requests import Session

HTML = {"Accept": "text/html"}
PAGE = "/local/door/runs/run"


@pytest.fixture
def session(wandb_server: ServerProcess) -> Iterator[Session]:
    with Session(wandb_server) as session:
        session.start_run("door", "run")
        yield session


@pytest.fixture
def cookie(wandb_server: ServerProcess) -> dict[str, str]:
    key = wandb_server.key
    return {"Cookie": f"{login_links.name_cookie(key)}={login_links.make_token(key, 'session', 60)}"}


def ask(session: Session, path: str, method: str = "GET", body: bytes | None = None, /, **headers: str) -> Any:
    return session.exchange(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_script_with_a_key_of_its_own_is_told_what_to_take_out(wandb_server: ServerProcess) -> None:
    with Session(wandb_server, key="0123456789" * 4) as stranger:
        status, answer = stranger.try_to_ask("{viewer {id}}")
    assert status == 401
    [told] = answer["errors"]
    assert "take wandb.login(key=...) and WANDB_API_KEY out of the script" in told["message"]


def test_a_link_logs_a_browser_in_and_holds_no_key(session: Session, wandb_server: ServerProcess) -> None:
    link = login_links.make_login_link(wandb_server.url, wandb_server.key)
    assert wandb_server.key not in link
    answer = ask(session, link.removeprefix(wandb_server.url))
    assert (answer.status, answer.headers["location"]) == (303, "/")
    given = answer.headers["set-cookie"]
    assert "HttpOnly" in given
    assert "SameSite=strict" in given
    assert wandb_server.key not in given
    assert ask(session, PAGE, Cookie=given.partition(";")[0]).status == 200


def test_the_key_typed_once_logs_a_browser_in(session: Session, wandb_server: ServerProcess) -> None:
    form = urlencode({"key": wandb_server.key, "next": PAGE}).encode()
    answer = ask(session, login_links.LOGIN_PATH, "POST", form, Origin=wandb_server.url)
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    wrong = ask(session, login_links.LOGIN_PATH, "POST", urlencode({"key": "0" * 40}).encode())
    assert wrong.status == 401
    assert "set-cookie" not in wrong.headers
    assert ask(session, login_links.LOGIN_PATH, "POST", form, Origin="https://evil.example").status == 403


def test_a_stranger_is_told_how_to_get_in_and_nothing_else(session: Session) -> None:
    answer = ask(session, PAGE, **HTML)
    assert answer.status == 401
    assert b"multistage-sweep up" in answer.body
    assert "www-authenticate" not in answer.headers  # no dialog that asks for a password
    assert ask(session, f"{PAGE}/changes", Sec_Fetch_Mode="cors").status == 401
    assert ask(session, "/-/changes").status == 401


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "/\nx"]
)
def test_a_login_leads_nowhere_else(session: Session, wandb_server: ServerProcess, target: str) -> None:
    query = urlencode({"token": login_links.make_token(wandb_server.key, "login", 60), "next": target})
    assert ask(session, f"{login_links.LOGIN_PATH}?{query}").headers["location"] == "/"


def test_tokens_end_and_serve_one_purpose(session: Session, wandb_server: ServerProcess) -> None:
    key = wandb_server.key
    past = login_links.make_token(key, "login", -1)
    for token in (
        past,
        login_links.make_token(key, "session", 60),
        login_links.make_token("0" * 40, "login", 60),
        "",
        "9.9.9",
    ):
        assert ask(session, f"{login_links.LOGIN_PATH}?{urlencode({'token': token})}").status == 401
    until = int(time.time()) + 1000
    stretched = f"{until}{past[past.index('.') :]}"
    assert not login_links.check_token(key, "login", stretched)
    for token in (login_links.make_token(key, "login", 60), login_links.make_token(key, "session", -1)):
        assert ask(session, PAGE, Cookie=f"{login_links.name_cookie(key)}={token}").status == 401


def test_a_login_is_for_looking_alone(session: Session, cookie: dict[str, str]) -> None:
    assert ask(session, PAGE, **cookie).status == 200
    for method, path in [
        ("POST", "/graphql"),
        ("POST", "/files/local/door/run/file_stream"),
        ("PUT", "/storage/runs/1/config.yaml"),
        ("GET", "/storage/runs/1/config.yaml"),
        ("POST", PAGE),
    ]:
        assert ask(session, path, method, b"{}", **cookie).status == 401


def test_pages_of_other_sites_get_nothing(
    session: Session, cookie: dict[str, str], wandb_server: ServerProcess
) -> None:
    foreign = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    assert ask(session, f"{PAGE}/changes", **cookie, **foreign).status == 401
    assert ask(session, f"{PAGE}/changes", **cookie, Sec_Fetch_Site="same-site", Sec_Fetch_Mode="cors").status == 401
    assert ask(session, PAGE, **cookie, Sec_Fetch_Site="same-site", Sec_Fetch_Mode="navigate").status == 200
    # Even with the key itself, which a browser may have been given in a dialog.
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert ask(session, "/graphql", "POST", b"{}", **session.key_header, **headers).status == 403


def test_every_page_forbids_what_it_does_not_need(session: Session, cookie: dict[str, str]) -> None:
    for path in ("/", "/local/door", PAGE, "/-/changes", "/local/door/changes", f"{PAGE}/changes"):
        answer = ask(session, path, **cookie)
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["..%2Fdoor.py", "..%2F..%2F..%2F..%2Fkey", "%2Fetc%2Fpasswd", "none.js", "templates"])
def test_assets_are_the_pages_own(session: Session, name: str) -> None:
    assert ask(session, f"{login_links.ASSETS_PATH}x/{name}").status in (401, 404)


def test_what_is_not_there_is_said_on_a_page(session: Session, cookie: dict[str, str]) -> None:
    for path in ("/local/none", "/local/door/runs/none", "/local/door/sweeps/none"):
        answer = ask(session, path, **cookie, **HTML)
        assert answer.status == 404
        assert b"none&#39; here" in answer.body
        assert ask(session, f"{path}/changes", **cookie).status == 404

"""Which variables would lead runs or requests astray, and what becomes of them."""

import urllib.request

import pytest

from multistage.domain.workers.variables import (
    PROXY_SCHEMES,
    is_loopback,
    list_strays,
    list_unusable_proxies,
    settle_variables,
    spare_loopback,
    withhold_secrets,
)

PROXY = "http://proxy.example:3128"


def test_without_a_proxy_nothing_changes() -> None:
    environment = {"no_proxy": "corp.example", "http_proxy": ""}
    spare_loopback(environment)
    assert environment == {"no_proxy": "corp.example", "http_proxy": ""}


@pytest.mark.parametrize(
    ("given", "small", "capital"),
    [
        ({}, "127.0.0.1,localhost", "127.0.0.1,localhost"),
        ({"NO_PROXY": "corp.example"}, "corp.example,127.0.0.1,localhost", "corp.example,127.0.0.1,localhost"),
        (
            {"no_proxy": " a , localhost", "NO_PROXY": "b,"},
            "a,localhost,127.0.0.1",
            "b,127.0.0.1,localhost",
        ),
        ({"no_proxy": "*", "NO_PROXY": "b"}, "*", "b,127.0.0.1,localhost"),
        ({"no_proxy": "*"}, "*", None),
    ],
)
def test_no_proxy_is_completed_in_both_cases_of_letters(given: dict[str, str], small: str, capital: str | None) -> None:
    environment = {"ALL_PROXY": PROXY, **given}
    spare_loopback(environment)
    assert environment.get("no_proxy") == small
    assert environment.get("NO_PROXY") == capital
    before = dict(environment)
    spare_loopback(environment)
    assert environment == before


def test_the_standard_library_goes_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"http_proxy": PROXY, "NO_PROXY": "corp.example"}
    spare_loopback(environment)
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    hosts = ("127.0.0.1:4200", "localhost", "in.corp.example", "api.wandb.ai")
    assert [bool(urllib.request.proxy_bypass(host)) for host in hosts] == [True, True, True, False]


def test_a_proxy_of_a_kind_that_a_client_does_not_know_is_found() -> None:
    environment = {"all_proxy": "socks://a:1", "HTTPS_PROXY": "HTTP://b:2", "http_proxy": "c:3", "PROXY": "socks4://d"}
    assert list_unusable_proxies(environment, PROXY_SCHEMES) == ["all_proxy"]
    assert list_unusable_proxies(environment, (*PROXY_SCHEMES, "socks")) == []


def test_what_is_meant_for_one_run_is_taken_out_and_runs_go_online() -> None:
    environment = {"WANDB_MODE": "offline", "WANDB_RESUME": "must", "WANDB_TAGS": "a", "WANDB_HTTP_PROXY": PROXY}
    assert list_strays(environment, "https://api.wandb.ai") == ["WANDB_RESUME"]
    assert list_strays(environment, None) == ["WANDB_RESUME", "WANDB_HTTP_PROXY"]
    far = dict(environment)
    settle_variables(far, "https://api.wandb.ai")
    assert far == {"WANDB_MODE": "online", "WANDB_TAGS": "a", "WANDB_HTTP_PROXY": PROXY}
    settle_variables(environment, "http://127.0.0.1:8080")
    assert environment == {"WANDB_MODE": "online", "WANDB_TAGS": "a"}


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        (None, False), ("https://api.wandb.ai", False), ("http://10.0.0.1:1", False), ("http://127.0.0.1:1", True),
        ("http://localhost", True), ("http://[::1]:80", True), ("http://127.8.0.1", True),
    ],
)  # fmt: skip
def test_a_server_is_on_this_machine_by_its_address(url: str | None, is_here: bool) -> None:
    assert is_loopback(url) == is_here


def test_what_opens_a_prefect_server_is_withheld() -> None:
    kept = {"PREFECT_API_URL": "http://127.0.0.1:4200/api", "PREFECT_API_KEY": "k"}
    environment = {**kept, "PREFECT_API_AUTH_STRING": "a:b", "prefect_server_api_auth_string": "a:b"}
    withhold_secrets(environment)
    assert environment == kept

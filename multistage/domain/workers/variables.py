"""Variables of a user's environment that would lead runs, or requests to this machine, astray."""

from collections.abc import Iterable, Mapping, MutableMapping
from ipaddress import ip_address
from urllib.parse import urlsplit

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
SPARED_HOSTS = ("127.0.0.1", "localhost")
"""Hosts that no proxy is asked for; ``::1`` is left out, since old HTTP clients stumble over it."""
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
"""In either case of letters."""
PROXY_SCHEMES = ("http", "https")
SOCKS_SCHEMES = ("socks5", "socks5h")

OFFLINE_MODES = ("offline", "dryrun", "disabled")
"""Words of ``WANDB_MODE`` with which no run reaches a server."""
SINGLE_RUN_VARIABLES = (
    "WANDB_DISABLED", "WANDB_FORK_FROM", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_NAME", "WANDB_RESUME",
    "WANDB_RESUME_FROM", "WANDB_RUN_ID", "WANDB_SERVICE", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH",
)  # fmt: skip
"""Meant for one run, or left by another: with them all runs of a sweep get one name, fail, or go to another run."""
CLIENT_PROXY_VARIABLES = ("WANDB_HTTP_PROXY", "WANDB_HTTPS_PROXY")
"""The W&B client's own, which it obeys on the way to this machine too, whatever ``no_proxy`` says."""

PREFECT_AUTH = "PREFECT_API_AUTH_STRING"
"""What a client shows to a Prefect server."""
PREFECT_SERVER_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
"""What a Prefect server asks for."""
NOTIFY_PREFIX = "MULTISTAGE_NOTIFY_"
"""Begins the variables with the URLs of those to notify, which hold tokens."""


def is_loopback(url: str | None) -> bool:
    """Whether a server, by its address, is on this machine."""
    return is_loopback_host(urlsplit(url or "").hostname or "")


def is_loopback_host(host: str) -> bool:
    """Whether only programs of this machine reach what listens on a host."""
    if host in LOOPBACK_HOSTS:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def list_strays(environment: Mapping[str, str], server: str | None) -> list[str]:
    """List the W&B variables that no training may see.

    Args:
        environment: Variables by name.
        server: The W&B server's address; None for one on this machine.
    """
    local = server is None or is_loopback(server)
    return [name for name in (*SINGLE_RUN_VARIABLES, *(CLIENT_PROXY_VARIABLES if local else ())) if name in environment]


def settle_variables(environment: MutableMapping[str, str], server: str) -> None:
    """Take those out, and let runs reach their server, whatever the user's shell or a settings file of W&B's says.

    Args:
        environment: Changed.
        server: The W&B server's address.
    """
    for name in list_strays(environment, server):
        del environment[name]
    environment["WANDB_MODE"] = "online"


def withhold_secrets(environment: MutableMapping[str, str]) -> None:
    """Take out what opens a Prefect server or sends messages: no training has any use for it.

    Args:
        environment: Changed.
    """
    secret = (PREFECT_AUTH, PREFECT_SERVER_AUTH)
    for name in [name for name in environment if name.upper() in secret or name.startswith(NOTIFY_PREFIX)]:
        del environment[name]


def spare_loopback(environment: MutableMapping[str, str], *hosts: str) -> None:
    """Complete ``no_proxy`` so that this machine's own services are asked for without a proxy.

    Does nothing where there is no proxy, or where none is used for anything (``*``). Some programs obey capitals first,
    others small letters, so that whichever is missing gets what the other says.

    Args:
        environment: Changed.
        hosts: Further ones that are asked for without a proxy.
    """
    if not list_proxies(environment):
        return
    for name, other in (("no_proxy", "NO_PROXY"), ("NO_PROXY", "no_proxy")):
        told = environment.get(name) or environment.get(other, "")
        listed = [host.strip() for host in told.split(",") if host.strip()]
        if "*" not in listed:
            environment[name] = ",".join(dict.fromkeys((*listed, *SPARED_HOSTS, *hosts)))


def list_proxies(environment: Mapping[str, str]) -> list[str]:
    """List the variables that name a proxy."""
    return [name for name, value in environment.items() if name.lower() in PROXY_VARIABLES and value]


def list_unusable_proxies(environment: Mapping[str, str], schemes: Iterable[str]) -> list[str]:
    """List the variables that name a proxy of a kind that an HTTP client cannot use, and may end by.

    Args:
        environment: Variables by name.
        schemes: Kinds that it can use.
    """
    known = tuple(schemes)
    return [
        name
        for name in list_proxies(environment)
        if "://" in environment[name] and environment[name].partition("://")[0].lower() not in known
    ]

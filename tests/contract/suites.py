"""Which suites the named accounts are enough for."""

from collections.abc import Mapping

from modal.config import config

from multistage.domain.workers.variables import is_loopback
from multistage.errors import UsageError
from tests.contract.accounts import KEY, MODAL, find_server, names_modal

SUITES = {"W&B": "tests/wandb_server", "Modal": "tests/launchers/test_conformance.py"}
"""Where the tests marked ``contract`` are."""


def choose_suites(environment: Mapping[str, str]) -> dict[str, str]:
    """Choose the suites that what is named is enough for.

    Raises:
        UsageError: If no account is named, or not enough of it.
    """
    server = find_server(environment)
    if server is None:
        raise UsageError(f"No account is named: {KEY} is not set.", "See docs/contract.md.")
    if not names_modal(environment):
        return {"W&B": SUITES["W&B"]}
    if not (config.get("token_id") and config.get("token_secret")):
        raise UsageError(f"{MODAL} is set, and Modal has no token on this machine.", "Make one with `modal token new`.")
    if is_loopback(server.url) and not is_loopback(config.get("server_url")):
        raise UsageError(
            f"Modal's containers cannot reach {server.url}.", f"Leave {MODAL} out, or name another server."
        )
    return SUITES


def list_secrets(environment: Mapping[str, str]) -> list[str]:
    """What must never be printed."""
    tokens = [config.get(name) for name in ("token_id", "token_secret")] if names_modal(environment) else []
    return [secret for secret in (environment.get(KEY), *tokens) if secret]

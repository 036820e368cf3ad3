"""Whether the wandb client is logged in, and where."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from wandb.sdk.lib import wbauth

from multistage.domain.sweep.account import EMBEDDED, Account, TrackerChoice
from multistage.errors import TrackerError, UsageError
from multistage.wandb_client.connection import REQUEST_TIMEOUT, Connection
from multistage.wandb_client.surroundings import find_base_url, find_offline_reason


def find_credentials() -> tuple[str, str, str] | None:
    """Find what ``wandb login`` or the environment left.

    Returns:
        The server, its key, and where the key was found; None where the client is not logged in.
    """
    base_url = find_base_url(Path.cwd())
    key = os.environ.get("WANDB_API_KEY")
    if key:
        return base_url, key, "WANDB_API_KEY is set"
    key = wbauth.read_netrc_auth(host=base_url)
    return (base_url, key, f"the client is logged in to {urlsplit(base_url).netloc}") if key else None


def open_account(choice: TrackerChoice, entity: str | None = None) -> Account:
    """Choose the server: W&B where the client is logged in, else the embedded one.

    Args:
        choice: ``auto``, or one of the two by name.
        entity: Spares the question for the account's default.

    Raises:
        UsageError: If W&B was asked for and the client is not logged in.
        TrackerError: If the server does not answer, or refuses the key.
    """
    if choice == "embedded":
        return EMBEDDED.model_copy(update={"reason": "Tracker: the embedded W&B server on this machine, as asked for."})
    found = find_credentials()
    offline = find_offline_reason(Path.cwd(), os.environ)
    if choice == "auto" and found is not None and offline is not None:
        reason = f"Tracker: the embedded W&B server on this machine, since {offline}; --tracker wandb takes {found[0]}."
        return EMBEDDED.model_copy(update={"reason": reason})
    if found is None:
        if choice == "auto":
            return EMBEDDED
        raise UsageError(
            "--tracker wandb was asked for, and the wandb client is not logged in.",
            "Run `wandb login`, or set WANDB_API_KEY; --tracker embedded needs no account.",
        )
    base_url, key, where = found
    connection = Connection(base_url, key, entity or "", "")
    default = entity or connection.call(lambda: connection.api.default_entity)
    if not default:
        raise TrackerError(f"{base_url} names no default entity for this key.", "Name one with --entity.")
    can_enqueue = connection.call(
        connection.api._service_api.feature_enabled,
        "SWEEPS_LOCAL_SCHEDULER",
        timeout=REQUEST_TIMEOUT,
    )
    return Account(
        kind="wandb",
        base_url=base_url,
        entity=default,
        can_enqueue=can_enqueue,
        reason=f"Tracker: W&B at {base_url} as {default}, since {where}.",
    )

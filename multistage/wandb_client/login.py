"""Whether the wandb client is logged in, and where."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import wandb.errors
from wandb.sdk.lib import wbauth

from multistage.domain.sweep.account import EMBEDDED, Account, TrackerChoice
from multistage.errors import MultistageError, TrackerError, UsageError
from multistage.wandb_client.connection import REQUEST_TIMEOUT, Connection, write_reason
from multistage.wandb_client.surroundings import find_base_url, find_offline_reason
from multistage.worker.tracker_connection import is_refused

REMEDY = "Run `wandb login --relogin`, or look at WANDB_BASE_URL; --tracker embedded needs no account."


def find_credentials() -> tuple[str, str, str] | None:
    """Find what ``wandb login`` or the environment left.

    Returns:
        The server, its key, and where the key was found; None where the client is not logged in.

    Raises:
        UsageError: The server is no address, or its key in .netrc cannot be read.
    """
    base_url = find_base_url(Path.cwd())
    key = os.environ.get("WANDB_API_KEY")
    if key:
        return base_url, key, "WANDB_API_KEY is set"
    try:
        key = wbauth.read_netrc_auth(host=base_url)
    except (wandb.errors.Error, ValueError) as error:
        raise UsageError(f"The key of {base_url} cannot be read: {write_reason(error)}.", REMEDY) from error
    return (base_url, key, f"the client is logged in to {urlsplit(base_url).netloc}") if key else None


def open_account(choice: TrackerChoice, entity: str | None = None) -> Account:
    """Choose the server: W&B where the client is logged in, else the embedded one.

    Args:
        choice: ``auto``, or one of the two by name.
        entity: Spares the question for the account's default.

    Raises:
        UsageError: If W&B was asked for and the client is not logged in, or the server refuses the key.
        TrackerError: If the server does not answer.
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
    try:
        default = entity or connection.call(lambda: connection.api.default_entity)
        can_enqueue = connection.call(
            connection.api._service_api.feature_enabled,
            "SWEEPS_LOCAL_SCHEDULER",
            timeout=REQUEST_TIMEOUT,
        )
    except TrackerError as error:
        cause = error.__cause__
        raise _explain_refusal(base_url, cause if isinstance(cause, Exception) else error) from error
    if not default:
        raise TrackerError(f"{base_url} names no default entity for this key.", "Name one with --entity.")
    return Account(
        kind="wandb",
        base_url=base_url,
        entity=default,
        can_enqueue=can_enqueue,
        reason=f"Tracker: W&B at {base_url} as {default}, since {where}.",
    )


def _explain_refusal(base_url: str, error: Exception) -> MultistageError:
    """Explain whether the key is refused or the server is away; the client calls both a failed authentication."""
    # A key that the client itself refuses has no request behind it.
    is_own = isinstance(error, wandb.errors.AuthenticationError) and error.__cause__ is None
    kind = UsageError if is_own or is_refused(error) else TrackerError
    return kind(f"W&B at {base_url} cannot be used: {write_reason(error)}.", REMEDY)

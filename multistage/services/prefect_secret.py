"""The secret of the user's own Prefect server: made once, kept in a file, handed on by environment alone."""

from multistage.errors import ServiceError
from multistage.settings import Settings
from multistage.wandb_server.credentials import load_key

USER = "multistage"
"""Prefect wants a name and a password; together they are what its pages ask for."""


def make_secret(settings: Settings) -> str:
    """Return the secret, making it at the server's first start in a file that only its owner can read."""
    return f"{USER}:{load_key(settings.prefect_key)}"


def read_secret(settings: Settings) -> str | None:
    """Return the secret; None where no server has been started with one.

    Raises:
        ServiceError: If the file cannot be read.
    """
    try:
        return f"{USER}:{settings.prefect_key.read_text().strip()}"
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServiceError(
            f"The Prefect server's key cannot be read: {error}.", "Let its owner, you, read that file."
        ) from error

"""The accounts that the environment names to the contract's tests; without any they have a server of their own."""

from collections.abc import Mapping
from typing import NamedTuple

URL, KEY, MODAL = "CONTRACT_BASE_URL", "CONTRACT_API_KEY", "CONTRACT_MODAL"
USUAL_URL = "https://api.wandb.ai"


class Server(NamedTuple):
    """A W&B server, and the key of an account there."""

    url: str
    key: str


def find_server(environment: Mapping[str, str]) -> Server | None:
    """The server that is named, if any."""
    key = environment.get(KEY)
    return Server(environment.get(URL) or USUAL_URL, key) if key else None


def names_modal(environment: Mapping[str, str]) -> bool:
    """Whether Modal itself is named. It costs money, so a token that lies on the machine is not enough."""
    return environment.get(MODAL) == "1"

"""The W&B server that a sweep uses, and its key."""

from multistage.domain.sweep.account import TrackerKind
from multistage.errors import UsageError
from multistage.services import ensure_wandb_server
from multistage.settings import Settings
from multistage.wandb_client.login import find_credentials


def find_server(tracker: TrackerKind) -> tuple[str, str]:
    """Find the server and its key; start the embedded one where it is not there.

    Raises:
        UsageError: If the wandb client is not logged in any more.
        ServiceError: If the embedded server does not start.
    """
    match tracker:
        case "embedded":
            server = ensure_wandb_server(Settings())
            return server.url, server.key
        case "wandb":
            found = find_credentials()
            if found is None:
                raise UsageError("The wandb client is not logged in.", "Run `wandb login`, or set WANDB_API_KEY.")
            return found[0], found[1]

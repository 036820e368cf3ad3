"""What a sweep's workers reach the W&B server with: its URL as they know it, and a key that opens just their sweep."""

from collections.abc import Mapping

from multistage.domain.sweep.state import State
from multistage.launchers.registry import find_kind
from multistage.services import ensure_wandb_server
from multistage.services.hosts import choose_host
from multistage.settings import Settings
from multistage.wandb_server.credentials import make_worker_key
from multistage.worker.conventions import NEAR_VARIABLE


def grant_access(state: State, base_url: str, key: str) -> Mapping[str, str]:
    """Return the variables by which a sweep's workers reach its server.

    The embedded server listens on another address of this machine from now on where that was asked for, or workers are
    on other machines: these get that address, and the sweep's own key.

    Args:
        state: The sweep's.
        base_url: The server, as this process reaches it.
        key: Its key.

    Raises:
        UsageError: This machine has no address that the workers could reach.
        ServiceError: The server does not listen there.
    """
    kind, requested = find_kind(state.options.launcher), state.options.server_host
    own = {"WANDB_BASE_URL": base_url, "WANDB_API_KEY": key}
    adopted = state.settings.adopted
    if state.settings.tracker == "embedded" and kind.traits.is_remote:
        own["WANDB_API_KEY"] = make_worker_key(key, adopted.sweep_id if adopted else state.uid)
    if not kind.needs_address(state.settings.tracker, state.options):
        return own
    host = choose_host(requested, kind.find_peer())
    server = ensure_wandb_server(Settings(), host)
    if kind.traits.reaches_loopback:
        return own
    return {
        "WANDB_BASE_URL": server.url if host is None else server.name_url(host),
        "WANDB_API_KEY": make_worker_key(server.key, adopted.sweep_id if adopted else state.uid),
        NEAR_VARIABLE: "1",
    }

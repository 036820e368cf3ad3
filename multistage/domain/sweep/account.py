"""Which W&B server a sweep uses, and what can be done there."""

from typing import Literal

from multistage.domain.model import Model

TrackerKind = Literal["embedded", "wandb"]
TrackerChoice = Literal["auto", "embedded", "wandb"]

EMBEDDED_ENTITY = "local"


class Account(Model):
    """A W&B server as its client finds it. Keys are kept elsewhere."""

    kind: TrackerKind
    base_url: str | None = None
    """The server; None for the embedded one, which chooses its own port."""
    entity: str
    """User or team that a sweep belongs to unless told otherwise."""
    can_enqueue: bool
    """Whether a client may enqueue runs in a sweep (the server's feature ``SWEEPS_LOCAL_SCHEDULER``)."""
    reason: str
    """Why this server, in a sentence."""


EMBEDDED = Account(
    kind="embedded",
    entity=EMBEDDED_ENTITY,
    can_enqueue=True,
    reason="Tracker: the embedded W&B server on this machine, since the wandb client is not logged in.",
)
"""The embedded server of this machine."""

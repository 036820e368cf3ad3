"""This process's own Modal client, turned to a stand-in, and closed at the end."""

from collections.abc import Iterator
from contextlib import contextmanager

import modal
import pytest
from modal.client import _Client

from tests.stand_ins.modal_server import ModalServer


@contextmanager
def using(server: ModalServer | None, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turn it to a stand-in for as long as the context lasts; None: leave it as the user has it."""
    for name, value in (server.environment if server else {}).items():
        patch.setenv(name, value)
    patch.setattr(_Client, "_client_from_env", None)
    yield
    if _Client._client_from_env is not None:
        modal.Client.from_env().close()

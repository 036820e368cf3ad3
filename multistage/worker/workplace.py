"""Which W&B sweeps the stages of a multi-stage sweep are, as a worker anywhere finds out."""

import json
import os
import re
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException
from typing import Annotated

from pydantic import Field

from multistage.domain.model import Model
from multistage.errors import TrackerError, UsageError

PLACE_PATH = "/-/work"
"""Where the embedded server tells a worker what its key is for."""
ENDED = ("FINISHED", "CANCELED", "CANCELLED")
STAGES = 3
PATIENCE = 20.0
"""Seconds that a server has to answer."""
# The key goes to nobody between.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_NAME = re.compile(r"(?P<name>.+?)(?: stage (?P<stage>[1-3]))? \((?P<uid>\w+)\)")


class Stage(Model):
    """One W&B sweep."""

    sweep_id: str
    name: str = ""
    state: str

    @property
    def number(self) -> int:
        """Which stage it is; the last where it is the only one."""
        found = _NAME.fullmatch(self.name)
        return int(found["stage"]) if found and found["stage"] else STAGES

    @property
    def has_ended(self) -> bool:
        """Whether it hands out no more runs."""
        return self.state.upper() in ENDED


class Workplace(Model):
    """What there is to work for."""

    entity: str
    project: str
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]

    @property
    def is_done(self) -> bool:
        """Whether the last stage has ended."""
        return self.stages[-1].has_ended and self.stages[-1].number == STAGES

    @property
    def sweep(self) -> str | None:
        """The sweep that hands out runs now, ``entity/project/id``; None where none does."""
        last = self.stages[-1]
        return None if last.has_ended else f"{self.entity}/{self.project}/{last.sweep_id}"


class Address(Model):
    """Where a multi-stage sweep is: on an embedded server, or in a project of W&B's."""

    name: str
    base_url: str | None = None
    entity: str = ""
    project: str = ""


def parse_address(text: str) -> Address:
    """Read what a worker was told to work for: ``URL/NAME`` or ``ENTITY/PROJECT/NAME``.

    Raises:
        UsageError: It is neither.
    """
    if "://" in text:
        base_url, _, name = text.rstrip("/").rpartition("/")
        if name and not base_url.endswith("/"):
            return Address(name=name, base_url=base_url)
    elif len(parts := text.split("/")) == 3 and all(parts):
        return Address(entity=parts[0], project=parts[1], name=parts[2])
    raise UsageError(f"{text!r} does not name a sweep.", "Give it as URL/NAME, or as ENTITY/PROJECT/NAME of W&B's.")


def find_workplace(address: Address) -> Workplace | None:
    """Find the stages of a sweep, the latest last; None where it has begun none, or its key has ended with it.

    Raises:
        UsageError: The key is another sweep's.
        TrackerError: The server does not answer.
    """
    return _ask_embedded(address) if address.base_url is not None else _ask_wandb(address)


def _ask_embedded(address: Address) -> Workplace | None:
    shown = b64encode(f"api:{os.environ.get('WANDB_API_KEY', '')}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the address is the user's own
        f"{address.base_url}{PLACE_PATH}", headers={"Authorization": f"Basic {shown}"}
    )
    try:
        with _opener.open(request, timeout=PATIENCE) as answer:
            place = Workplace.model_validate(json.load(answer))
    except urllib.error.HTTPError as error:
        if error.code == 410:
            return None
        reason = f"HTTP {error.code}"
        if error.code in (401, 403, 404):
            raise UsageError(
                f"{address.base_url} does not take this key for a worker's: {reason}.",
                "The sweep's folder has it: WANDB_API_KEY in logs/.worker-variables.",
            ) from error
        raise TrackerError(f"{address.base_url} does not answer: {reason}.") from error
    except (OSError, HTTPException, ValueError) as error:
        raise TrackerError(f"{address.base_url} does not answer: {error}.", "Can this machine reach it?") from error
    named = _NAME.fullmatch(place.stages[-1].name)
    if named is not None and named["name"] != address.name:
        raise UsageError(f"The key is for the sweep {named['name']!r}, not {address.name!r}.", "Name that one.")
    return place


def _ask_wandb(address: Address) -> Workplace | None:
    import wandb
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    from multistage.worker.tracker_connection import is_refused

    try:
        sweeps = list(wandb.Api().project(address.project, address.entity).sweeps(per_page=200))
    except ValueError:  # the client's word for a project that does not exist
        return None
    except (wandb.Error, WandbApiFailedError, TimeoutError) as error:
        sentence = f"W&B says nothing about {address.entity}/{address.project}: {str(error).rstrip('.')}."
        if is_refused(error) or isinstance(error, wandb.errors.UsageError):
            raise UsageError(sentence, "Log in to an account that may work there: `wandb login`.") from error
        raise TrackerError(sentence, "Can this machine reach it?") from error
    # By their configs: on W&B's pages anybody may call a sweep something else.
    named = [(sweep, _NAME.fullmatch(str(sweep.config.get("name")))) for sweep in sweeps]
    own = [(sweep, found) for sweep, found in named if found is not None and found["name"] == address.name]
    if not own:
        return None
    uid = own[0][1]["uid"]  # the client lists the latest first
    stages = [
        Stage(sweep_id=sweep.id, name=found[0], state=str(sweep.state)) for sweep, found in own if found["uid"] == uid
    ]
    return Workplace(
        entity=address.entity, project=address.project, stages=tuple(sorted(stages, key=lambda one: one.number))
    )

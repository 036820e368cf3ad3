"""How a step's result is written down: by the name of what it is, never of the module that holds its class today."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from prefect.serializers import Serializer
from pydantic import BaseModel, Field

from multistage.domain.space.narrowing import Narrowing
from multistage.domain.sweep.state import StageCount, StageRecord, TopConfig
from multistage.domain.workers.worker_records import WorkerRecord
from multistage.errors import MultistageError
from multistage.store.sweep_folder import write_atomically

KINDS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "narrowing": Narrowing,
        "stage count": StageCount,
        "stage record": StageRecord,
        "top config": TopConfig,
        "worker": WorkerRecord,
    }
)
"""What steps return; a name stays for ever, its class may move."""
FAILURE = "failure"
"""What a step failed by: its sentence is kept, for nobody but people."""
EARLIER: Mapping[str, str] = MappingProxyType(
    {
        "multistage.domain.narrowing.Narrowing": "narrowing",
        "multistage.domain.state.StageCount": "stage count",
        "multistage.domain.state.StageRecord": "stage record",
        "multistage.domain.state.TopConfig": "top config",
        "multistage.domain.workers.LocalWorker": "worker",
        "multistage.domain.workers.ModalWorker": "worker",
    }
)
"""What Prefect's own serializer called them in earlier releases; where it finds no such class, it gives a dict."""


class ResultSerializer(Serializer):
    """JSON, in which each of our models stands as its kind and its data."""

    type: str = Field(default="multistage-sweep", frozen=True)

    def dumps(self, obj: Any) -> bytes:
        """Write a step's result.

        Raises:
            TypeError: It holds what is of no kind.
        """
        return json.dumps(obj, default=_pack).encode()

    def loads(self, blob: bytes) -> Any:
        """Read a step's result.

        Raises:
            ValueError: It is of a kind that this release does not know, or damaged.
        """
        return json.loads(blob, object_hook=_unpack)


def _pack(one: Any) -> dict[str, Any]:
    for kind, model in KINDS.items():
        if type(one) is model:
            return {"kind": kind, "data": one.model_dump_json()}
    if isinstance(one, Exception):
        return {"kind": FAILURE, "data": str(one)}
    raise TypeError(f"A step cannot store a {type(one).__name__}.")


def _unpack(one: dict[str, Any]) -> Any:
    if one.keys() != {"kind", "data"}:
        return one
    if one["kind"] == FAILURE:
        return MultistageError(one["data"])
    if one["kind"] not in KINDS:
        raise ValueError(f"A stored result is a {one['kind']!r}, which this release does not know.")
    return KINDS[one["kind"]].model_validate_json(one["data"])


def upgrade_results(folder: Path) -> None:
    """Rewrite the results that earlier releases kept; leave alone what is none of theirs, or is damaged.

    Args:
        folder: Where a sweep's results lie.

    Raises:
        FolderError: One cannot be written.
    """
    for path in sorted(folder.glob("stage*")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["metadata"]["serializer"]["type"] != "json":
                continue
            result = json.loads(kept["result"], object_hook=_rename)
        except (OSError, ValueError, KeyError, TypeError):  # it stays as it is, for Prefect to judge
            continue
        kept["metadata"]["serializer"] = {"type": ResultSerializer().type}
        write_atomically(path, json.dumps({**kept, "result": json.dumps(result)}))


def _rename(one: dict[str, Any]) -> dict[str, Any]:
    if one.keys() != {"__class__", "data"}:
        return one
    return {"kind": EARLIER[one["__class__"]], "data": json.dumps(one["data"])}

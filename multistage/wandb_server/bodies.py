"""Bodies of requests, bounded."""

import asyncio
import base64
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
from pydantic_core import PydanticSerializationError, to_json
from starlette.requests import Request as HttpRequest

from multistage.wandb_server.desk import Desk
from multistage.wandb_server.nodes import RefusedError, parse_object

MAX_UPLOAD = 5 * 2**30
PATIENCE = 60.0
"""Seconds for a body from a client with the key."""
LONG = 20_000
"""Bytes of a body from which parsing it is worth a thread."""


async def read_body(http: HttpRequest, limit: int, patience: float = PATIENCE) -> bytes:
    """A request's body.

    Args:
        http: The request.
        limit: Of its size in bytes.
        patience: Seconds in which all of it must come.

    Raises:
        RefusedError: It is larger than the limit (413), or does not come (408).
    """
    chunks, size = [], 0
    try:
        async with asyncio.timeout(patience):
            async for chunk in http.stream():
                size += len(chunk)
                if size > limit:
                    raise RefusedError(f"The body is larger than {limit} bytes.", 413)
                chunks.append(chunk)
    except TimeoutError as error:
        raise RefusedError(f"The body did not come within {patience:.0f} s.", 408) from error
    return b"".join(chunks)


async def parse_body(desk: Desk, body: bytes) -> dict[str, Any]:
    """A JSON object from a body.

    Raises:
        RefusedError: The body is something else.
    """
    return _parse(body) if len(body) < LONG else await desk.look(_parse, body)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RefusedError("The body is not UTF-8.", 400) from error
    return parse_object("The body", text)


def dump_answer(value: Any) -> bytes:
    """JSON, several times as fast as the standard library's, which takes halves of surrogate pairs too."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value).encode()


async def receive_file(http: HttpRequest, path: Path, expected: str | None = None) -> tuple[int, str]:
    """Store an upload atomically: the file appears when all of it is there, and is what was announced.

    Returns:
        Its size in bytes, and its MD5 as W&B writes it (base64).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in _allow_pauses(http):
                size += len(chunk)
                if size > MAX_UPLOAD:
                    raise RefusedError(f"The file is larger than {MAX_UPLOAD} bytes.", 413)
                digest.update(chunk)
                await anyio.to_thread.run_sync(file.write, chunk)
        found = base64.b64encode(digest.digest()).decode()
        if expected is not None and found != expected:
            raise RefusedError(f"The content has the MD5 {found}, not {expected[:60]}.", 400)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return size, found


async def _allow_pauses(http: HttpRequest) -> AsyncIterator[bytes]:
    """An upload's parts: all of it may take long, each part may not."""
    parts = http.stream()
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                part = await anext(parts, None)
        except TimeoutError as error:
            raise RefusedError(f"The upload stalled for {PATIENCE:.0f} s.", 408) from error
        if part is None:
            return
        yield part

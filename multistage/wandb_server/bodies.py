"""Bodies of requests, bounded."""

import base64
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.requests import Request as HttpRequest

from multistage.wandb_server.nodes import RefusedError, parse_object

MAX_UPLOAD = 5 * 2**30


async def read_body(http: HttpRequest, limit: int) -> bytes:
    """A request's body.

    Raises:
        RefusedError: It is larger than the limit (413).
    """
    chunks, size = [], 0
    async for chunk in http.stream():
        size += len(chunk)
        if size > limit:
            raise RefusedError(f"The body is larger than {limit} bytes.", 413)
        chunks.append(chunk)
    return b"".join(chunks)


def parse_body(body: bytes) -> dict[str, Any]:
    """A JSON object from a body.

    Raises:
        RefusedError: The body is something else.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RefusedError("The body is no UTF-8.", 400) from error
    return parse_object("The body", text)


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
            async for chunk in http.stream():
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

"""The API key, and the signatures of storage links derived from it."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

KEY_BYTES = 20
"""W&B's client wants keys of 40 characters or more."""
DRIVER_KEY = "driver_key"
"""File of the key with which those who drive multi-stage sweeps tell of them; the API key is no substitute."""


def load_key(path: Path) -> str:
    """Read the API key, making it at first start in a file that only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_text().strip()
        if len(key) >= 2 * KEY_BYTES:
            return key
        # A start that was killed between making the file and filling it.
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    key = secrets.token_hex(KEY_BYTES)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    return key


def read_basic(header: str | None) -> bytes:
    """The password of an ``Authorization`` header that is HTTP Basic (the user is ``api``); else nothing."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def check_basic(header: str | None, key: str) -> bool:
    """Whether an ``Authorization`` header shows this key."""
    return hmac.compare_digest(read_basic(header), key.encode())


def make_worker_key(key: str, sweep: str) -> str:
    """The key of a sweep's workers; see `multistage.wandb_server.worker_scope`.

    Args:
        key: The server's own.
        sweep: The sweep's id, or the mark of a sweep in stages, of letters and digits.
    """
    digest = hmac.new(key.encode(), f"worker {sweep}".encode(), hashlib.sha256).hexdigest()[: 2 * KEY_BYTES]
    return f"worker-{sweep}-{digest}"


def read_worker_key(header: str | None, key: str) -> str | None:
    """The sweep whose worker's key an ``Authorization`` header shows; None where it shows none."""
    password = read_basic(header)
    kind, _, rest = password.decode(errors="replace").partition("-")
    sweep = rest.partition("-")[0]
    genuine = hmac.compare_digest(password, make_worker_key(key, sweep).encode())
    return sweep if kind == "worker" and sweep and genuine else None


def check_key(given: str, key: str) -> bool:
    """Whether a text is the key."""
    return hmac.compare_digest(given.encode(errors="replace"), key.encode())


def sign(key: str, method: str, path: str) -> str:
    """The signature that lets a client without the key use one storage link with one method."""
    return hmac.new(key.encode(), f"{method} {path}".encode(), hashlib.sha256).hexdigest()[:40]


def check_signature(key: str, method: str, path: str, signature: str) -> bool:
    """Whether :func:`sign` made this signature."""
    return hmac.compare_digest(sign(key, method, path).encode(), signature.encode())

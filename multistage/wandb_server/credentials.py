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


def check_basic(header: str | None, key: str) -> bool:
    """Whether an ``Authorization`` header is HTTP Basic with this key as password (the user is ``api``)."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        password = base64.b64decode(encoded, validate=True).partition(b":")[2]
    except binascii.Error:
        return False
    return hmac.compare_digest(password, key.encode())


def check_key(given: str, key: str) -> bool:
    """Whether a text is the key."""
    return hmac.compare_digest(given.encode(errors="replace"), key.encode())


def sign(key: str, method: str, path: str) -> str:
    """The signature that lets a client without the key use one storage link with one method."""
    return hmac.new(key.encode(), f"{method} {path}".encode(), hashlib.sha256).hexdigest()[:40]


def check_signature(key: str, method: str, path: str, signature: str) -> bool:
    """Whether :func:`sign` made this signature."""
    return hmac.compare_digest(sign(key, method, path).encode(), signature.encode())

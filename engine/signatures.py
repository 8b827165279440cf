"""Signatures of deliveries: Standard Webhooks (https://www.standardwebhooks.com) for v1, Eden's RSA for v3."""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from .errors import StoreUnavailable

if TYPE_CHECKING:
    # Its library takes long to import, and not every server signs.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_PREFIX = "whsec_"
#: What the standard asks of secrets, in bytes.
_SHORTEST, _LONGEST = 24, 64
_RSA_BITS = 3072


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """What the deliveries of one subject are signed with; times are microseconds UTC."""

    secret: bytes
    created_at: int
    #: The one before a rotation, with which is signed as well for a while.
    earlier: bytes | None = None
    earlier_until: int | None = None

    def valid(self, now: int) -> tuple[bytes, ...]:
        """The newest first."""
        if self.earlier is None or self.earlier_until is None or self.earlier_until <= now:
            return (self.secret,)
        return self.secret, self.earlier


def new_secret() -> bytes:
    return secrets.token_bytes(32)


def whsec(secret: bytes) -> str:
    """The secret as people pass it on."""
    return _PREFIX + base64.b64encode(secret).decode()


def read_whsec(text: str) -> bytes:
    """The secret of a text of that form; raises `ValueError`, which does not quote it."""
    if not text.startswith(_PREFIX):
        raise ValueError(f"a webhook secret begins with {_PREFIX}")
    try:
        secret = base64.b64decode(text[len(_PREFIX) :], validate=True)
    except binascii.Error:
        raise ValueError(f"a webhook secret is {_PREFIX} and base64") from None
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise ValueError(f"a webhook secret has {_SHORTEST} to {_LONGEST} bytes, not {len(secret)}")
    return secret


def standard(id: str, timestamp: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers of Standard Webhooks: one signature for each secret. `timestamp`: of the attempt, seconds UTC."""
    signed = b"%b.%d." % (id.encode(), timestamp)
    signatures = []
    for secret in secrets:
        digest = hmac.new(secret, signed, hashlib.sha256)
        digest.update(body)
        signatures.append(f"v1,{base64.b64encode(digest.digest()).decode()}")
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(signatures)}


def eden_canonical(body: bytes) -> bytes:
    """What Eden signs of a payload: not the bytes that are sent, but the same JSON, its keys sorted and indented."""
    payload = orjson.loads(body)
    try:
        return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    except orjson.JSONEncodeError:
        # In a payload, what could just be written on its own is too deep for that library.
        return json.dumps(payload, sort_keys=True, indent=2, ensure_ascii=False).encode()


class EdenKey:
    """The RSA key of v3's deliveries. It is made when it is first asked for, which takes seconds; all methods may be
    called in any thread, take milliseconds at least, and raise `StoreUnavailable` where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        """`path`: of the file that holds it, as PEM."""
        self._path = path
        self._lock = threading.Lock()
        self._key: RSAPrivateKey | None = None

    def sign(self, body: bytes) -> str:
        """The signature of a payload as a header has it: over the hex digits of its canonical form's SHA-256."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        digest = hashlib.sha256(eden_canonical(body)).hexdigest()
        return self._loaded().sign(digest.encode(), PKCS1v15(), SHA256()).hex()

    def public_pem(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._loaded().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def _loaded(self) -> "RSAPrivateKey":
        with self._lock:
            if self._key is None:
                try:
                    self._key = _load_or_make(self._path)
                except OSError as error:
                    why = f"the webhook key cannot be read or kept: {error.strerror or error}"
                    raise StoreUnavailable(why, retry_after=5) from error
            return self._key


def _load_or_make(path: Path) -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    if not path.exists():
        made = generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        _write(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{path} holds no RSA key")
    return key


def _write(path: Path, pem: bytes) -> None:
    """Writes the file whole, synced, and for nobody else to read; one that is there meanwhile stays."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""Virtual keys: who may call, and as which owner.

A token is shown once, when it is made; kept is its SHA-256, which is enough for a secret of 256 random bits. An owner
is bound to the key's id, not to its token: rotating the token keeps the owner, and an id is never given again.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

#: The owner of jobs that are submitted without a key.
ANONYMOUS = "anon"

PREFIX = "sk-bf-"

#: Why a first key that is not an admin's is refused: it would close the server to whoever looks after it.
FIRST_KEY = "admin: the first key must be an admin's, since from then on every request needs a key"

#: What a key may be called, as a regular expression.
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    #: Stable; "config/NAME" for a key of the configuration.
    id: str
    name: str
    sha256: bytes
    admin: bool = False
    created_at: int = 0

    @property
    def owner(self) -> str:
        return f"key:{self.id}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: owns what it submits; an admin sees every owner's jobs."""

    owner: str
    admin: bool = False

    @property
    def scope(self) -> str | None:
        """The owner whose jobs this caller sees; None: every owner's."""
        return None if self.admin else self.owner


def new_token() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def new_key(name: str, token: str, *, admin: bool, now: int) -> Key:
    return Key(id=f"k_{secrets.token_hex(8)}", name=name, sha256=digest(token), admin=admin, created_at=now)


class KeyRing:
    """All keys that are valid now, by the hash of their token."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._by_hash = {key.sha256: Caller(key.owner, key.admin) for key in keys}

    def __len__(self) -> int:
        return len(self._by_hash)

    def caller(self, token: str) -> Caller | None:
        """Who holds this token; None if nobody does."""
        return self._by_hash.get(digest(token))

    def add(self, key: Key) -> None:
        self._by_hash[key.sha256] = Caller(key.owner, key.admin)

    def remove(self, key: Key) -> None:
        self._by_hash.pop(key.sha256, None)

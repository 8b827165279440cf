"""Virtual keys: who may call, as which owner, and within which limits.

A token is shown once, when it is made; kept is its SHA-256, which is enough for a secret of 256 random bits. An owner
is bound to the key's id, not to its token: rotating the token keeps the owner, and an id is never given again.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .clock import Clock
from .limits import UNLIMITED, Limits

#: The owner of jobs that are submitted without a key.
ANONYMOUS = "anon"

PREFIX = "sk-bf-"

#: Why a first key that is not an admin's is refused: it would close the server to whoever looks after it.
FIRST_KEY = "admin: the first key must be an admin's, since from then on every request needs a key"

#: What a key may be called, as a regular expression.
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"

#: No key and no token is given for longer: later times have no date that every client can read.
MAX_LIFE_SECONDS = 3_153_600_000


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierToken:
    """A token that a rotation has replaced, and that is still valid."""

    sha256: bytes
    #: Microseconds UTC; None: as long as the configuration names it.
    ends_at: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    #: Stable; "config/NAME" for a key of the configuration.
    id: str
    name: str
    sha256: bytes
    admin: bool = False
    limits: Limits = UNLIMITED
    created_at: int = 0
    #: When it is no longer valid, in microseconds UTC; None: never.
    expires_at: int | None = None
    earlier: tuple[EarlierToken, ...] = ()

    @property
    def owner(self) -> str:
        return f"key:{self.id}"

    @property
    def tokens(self) -> Iterator[tuple[bytes, int | None]]:
        """The hash of each token, and when it ends."""
        yield self.sha256, self.expires_at
        for token in self.earlier:
            yield token.sha256, token.ends_at


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: owns what it submits; an admin sees every owner's jobs."""

    owner: str
    admin: bool = False

    @property
    def scope(self) -> str | None:
        """The owner whose jobs this caller sees; None: every owner's."""
        return None if self.admin else self.owner


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """A new token for a key. No earlier one is valid for longer than the overlap."""

    name: str
    sha256: bytes
    #: When this happens, and when the last of the earlier tokens ends.
    now: int
    overlap_ends_at: int
    #: The key's new end; None: as before.
    expires_at: int | None = None


def new_token() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def new_key(
    name: str,
    token: str,
    *,
    admin: bool,
    now: int,
    limits: Limits = UNLIMITED,
    expires_at: int | None = None,
) -> Key:
    return Key(
        id=f"k_{secrets.token_hex(8)}",
        name=name,
        sha256=digest(token),
        admin=admin,
        limits=limits,
        created_at=now,
        expires_at=expires_at,
    )


class KeyRing:
    """All keys, by the hashes of their tokens, and the limits of their owners."""

    def __init__(
        self, keys: Iterable[Key] = (), *, clock: Clock | None = None, subjects: tuple[str, Limits] | None = None
    ) -> None:
        """`subjects` are owners without a key, by what their names begin with, and the limits of each of them."""
        self._clock = clock or Clock()
        self._tokens: dict[bytes, Caller] = {}
        #: Apart, so that nobody asks for the time on behalf of a token that never ends.
        self._mortal: dict[bytes, tuple[Caller, int]] = {}
        self._hashes: dict[str, list[bytes]] = {}
        self._limits: dict[str, Limits] = {}
        self._subjects = subjects
        for key in keys:
            self.add(key)

    def __len__(self) -> int:
        """How many keys there are; one that has expired counts, since a server does not open by a key's end."""
        return len(self._hashes)

    def caller(self, token: str) -> Caller | None:
        """Who holds this token; None if nobody does, or no longer."""
        sha256 = digest(token)
        return self._tokens.get(sha256) or self._alive(sha256)

    def expired(self, token: str) -> bool:
        """Whether the token was valid once, and its end has come."""
        sha256 = digest(token)
        return sha256 in self._mortal and self._alive(sha256) is None

    def limits(self, owner: str) -> Limits:
        """What the owner may have at once; that of an owner whose key is gone is not limited."""
        found = self._limits.get(owner)
        if found is not None:
            return found
        if self._subjects is not None and owner.startswith(self._subjects[0]):
            return self._subjects[1]
        return UNLIMITED

    def add(self, key: Key) -> None:
        """Takes a key in; of one that is known already, the tokens are now these."""
        self.remove(key)
        caller = Caller(key.owner, key.admin)
        self._hashes[key.id] = []
        for sha256, ends_at in key.tokens:
            self._hashes[key.id].append(sha256)
            if ends_at is None:
                self._tokens[sha256] = caller
            else:
                self._mortal[sha256] = (caller, ends_at)
        if key.limits != UNLIMITED:
            self._limits[key.owner] = key.limits

    def remove(self, key: Key) -> None:
        for sha256 in self._hashes.pop(key.id, ()):
            self._tokens.pop(sha256, None)
            self._mortal.pop(sha256, None)
        self._limits.pop(key.owner, None)

    def _alive(self, sha256: bytes) -> Caller | None:
        caller, ends_at = self._mortal.get(sha256, (None, 0))
        return caller if caller is not None and self._clock.now() < ends_at else None

"""What an admin may ask of virtual keys, and what is answered."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import marshmallow

from ..engine.errors import InvalidRequest
from ..engine.jobs import SECOND
from ..engine.keys import MAX_LIFE_SECONDS, NAME, Key, Rotation, digest, new_key
from ..engine.limits import UNLIMITED, Limits
from .tables import faults, schema_of
from .v1 import timestamp

T = TypeVar("T")

_LIFE = {"min": 1, "max": MAX_LIFE_SECONDS}


@dataclass(frozen=True, kw_only=True)
class NewKey:
    name: str
    #: Whether it sees every owner's jobs and looks after keys.
    admin: bool = False
    #: None: it does not expire.
    expires_in_seconds: int | None = field(default=None, metadata=_LIFE)
    limits: Limits = UNLIMITED

    def key(self, token: str, now: int) -> Key:
        return new_key(
            self.name,
            token,
            admin=self.admin,
            now=now,
            limits=self.limits,
            expires_at=_end(now, self.expires_in_seconds),
        )


@dataclass(frozen=True, kw_only=True)
class NewToken:
    #: No earlier token is valid for longer than that from now on; 0: they end at once.
    overlap_seconds: int = field(default=86_400, metadata={"min": 0, "max": MAX_LIFE_SECONDS})
    #: The key's new end, from now; None: as before.
    expires_in_seconds: int | None = field(default=None, metadata=_LIFE)

    def rotation(self, name: str, token: str, now: int) -> Rotation:
        """`name` is the key's."""
        return Rotation(
            name=name,
            sha256=digest(token),
            now=now,
            overlap_ends_at=now + self.overlap_seconds * SECOND,
            expires_at=_end(now, self.expires_in_seconds),
        )


def load(cls: Callable[..., T], asked: object) -> T:
    """The request; raises `InvalidRequest`, which names the first field at fault and what would do."""
    if not isinstance(asked, dict):
        raise InvalidRequest(f"send a JSON object, not {type(asked).__name__}")
    try:
        loaded: T = schema_of(cls).load(asked)
    except marshmallow.ValidationError as error:
        path, fault = next(iter(faults(error.messages)))
        raise InvalidRequest(f"{path}: {fault}", param=path) from error
    if isinstance(loaded, NewKey) and not re.fullmatch(NAME, loaded.name):
        raise InvalidRequest("name: 1 to 64 letters, digits, dots, dashes or underscores", param="name")
    return loaded


def shown(key: Key) -> dict[str, Any]:
    """The key without its tokens; what it does not have is absent."""
    found: dict[str, Any] = {"id": key.id, "name": key.name, "admin": key.admin}
    if limits := shown_limits(key.limits):
        found["limits"] = limits
    found["created_at"] = timestamp(key.created_at)
    if key.expires_at is not None:
        found["expires_at"] = timestamp(key.expires_at)
    if ends := [timestamp(token.ends_at) for token in key.earlier if token.ends_at is not None]:
        found["earlier_tokens_end_at"] = ends
    return found


def shown_limits(limits: Limits) -> dict[str, int]:
    """Those that there are."""
    return {name: most for name, most in asdict(limits).items() if most is not None}


def _end(now: int, seconds: int | None) -> int | None:
    return None if seconds is None else now + seconds * SECOND

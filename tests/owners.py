"""Two owners and an admin, each with a key, at one gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .clients import Client, client

ALICE, BOB, ADMIN = "sk-bf-alice", "sk-bf-bob", "sk-bf-root"
_TOKENS = {"alice": ALICE, "bob": BOB, "root": ADMIN}
AUTH = {"keys": [{"name": name, "key": token, "admin": name == "root"} for name, token in _TOKENS.items()]}


@dataclass(frozen=True)
class Owners:
    alice: Client
    bob: Client
    #: An admin.
    root: Client


@asynccontextmanager
async def owners(folder: Path, **tables: Any) -> AsyncIterator[Owners]:
    """Their clients, of a gateway with these tables."""
    async with client(folder, auth=AUTH, **tables) as c:
        yield Owners(**{name: c.with_key(token) for name, token in _TOKENS.items()})

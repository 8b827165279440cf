"""The vendors' own packages, unmodified, as clients of a gateway."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai

from .clients import ECHO, Client, client

#: What a package needs to be made; no virtual key.
NO_KEY = "sk-none"

#: Where OpenAI's routes are.
PREFIXES = ("/v1", "/openai/v1", "/v3")


@asynccontextmanager
async def openai_client(
    folder: Path, *, key: str = NO_KEY, prefix: str = "/v1", retries: int = 0, **tables: Any
) -> AsyncIterator[tuple[openai.AsyncOpenAI, Client]]:
    """OpenAI's package, and beside it a plain client of the same gateway."""
    async with client(folder, **{"providers": ECHO, **tables}) as c, to_openai(c.served.url, key, prefix, retries) as o:
        yield o, c


@asynccontextmanager
async def anthropic_client(
    folder: Path, *, key: str = NO_KEY, retries: int = 0, **tables: Any
) -> AsyncIterator[tuple[anthropic.AsyncAnthropic, Client]]:
    """Anthropic's package, and beside it a plain client of the same gateway."""
    async with (
        client(folder, **{"providers": ECHO, **tables}) as c,
        anthropic.AsyncAnthropic(base_url=f"{c.served.url}/anthropic", api_key=key, max_retries=retries) as a,
    ):
        yield a, c


def to_openai(url: str, key: str = NO_KEY, prefix: str = "/v1", retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=url + prefix, api_key=key, max_retries=retries)


def failing(status: int, **headers: str) -> Mapping[str, Any]:
    """Arguments of a chat that fails with that status."""
    return {
        "model": f"echo/status-{status}",
        "messages": [{"role": "user", "content": "hello"}],
        "extra_headers": headers,
    }

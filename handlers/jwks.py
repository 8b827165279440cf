"""An issuer's public keys (JWK Set, RFC 7517), from a file or an address, and kept up to date.

They are loaded at start, now and then, and when a token names a key that is not among them. A load that fails changes
nothing; one that succeeds replaces all: a key that has left the set is no longer known.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import orjson

from ..engine.errors import ConfigurationError, Unavailable

log = logging.getLogger(__name__)

#: By `kid` and algorithm; without a `kid`, the only key for an algorithm.
Keys = Mapping[tuple[str | None, str], jwt.PyJWK]

_MAX_BYTES = 1_000_000
_TIMEOUT_SECONDS = 10.0
#: Requests that may wait for a load; more are told to come again.
_MAX_WAITING = 100
#: Members of a private key, which a set should not have and nobody here needs.
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth"))


class _NotLoaded(Exception):
    """Why the keys could not be loaded."""


class KeySet:
    def __init__(
        self,
        source: str | Path,
        algorithms: Collection[str],
        *,
        interval_seconds: float | None = None,
        spacing_seconds: float | None = None,
    ) -> None:
        """`source` is a file, or an http(s) address. It is loaded every `interval_seconds`, and for unknown keys once
        in `spacing_seconds` at most; None: 600 and 10 for an address, 10 and 1 for a file."""
        self._source = source
        self._remote = isinstance(source, str)
        self._name = _named(source) if isinstance(source, str) else str(source)
        self._algorithms = algorithms
        self._interval = interval_seconds or (600.0 if self._remote else 10.0)
        self._spacing = spacing_seconds or (10.0 if self._remote else 1.0)
        self.keys: Keys = {}
        #: Grows when the keys change.
        self.version = 0
        self._text: bytes | None = None
        self._why: str | None = None
        self._loading = asyncio.Lock()
        #: A load for an unknown key that has not begun, and when it may.
        self._planned: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Loads the keys. Raises `ConfigurationError` if a file cannot be used; an address may answer later."""
        await self._load()
        if self._why is not None and not self._remote:
            raise ConfigurationError(f"[auth.jwt]: jwks: {self._why}")
        self._spawn(self._keep())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def refresh(self) -> None:
        """Loads the keys for somebody who knows of one that is not among them; who asks while they are on their way
        waits for the next load. Raises `Unavailable` if they cannot be had now."""
        if self._waiting >= _MAX_WAITING:
            raise Unavailable("too many tokens wait for their issuer's keys", retry_after=self._spacing)
        self._waiting += 1
        try:
            if self._planned is None:
                self._planned = self._spawn(self._load_when_due())
            await asyncio.shield(self._planned)
        finally:
            self._waiting -= 1
        if self._why is not None:
            raise Unavailable("the keys of the tokens' issuer cannot be had now", retry_after=self._spacing)

    async def _load_when_due(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(self._not_before - loop.time(), 0))
        self._planned = None
        self._not_before = loop.time() + self._spacing
        await self._load()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._interval if self._why is None else self._spacing)
            await self._load()

    async def _load(self) -> None:
        async with self._loading:
            try:
                text = await (self._fetch() if self._remote else asyncio.to_thread(self._read))
                if text != self._text:
                    self.keys = await asyncio.to_thread(parse, text, self._algorithms)
                    self._text = text
                    self.version += 1
                self._why = None
            except _NotLoaded as error:
                self._why = str(error)
                log.error("[auth.jwt]: jwks: %s", error)

    def _read(self) -> bytes:
        try:
            with Path(self._source).open("rb") as file:
                return _bounded(file.read(_MAX_BYTES + 1))
        except OSError as error:
            raise _NotLoaded(f"{self._name} cannot be read: {error.strerror}") from error

    async def _fetch(self) -> bytes:
        headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        body = b""
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout, auto_decompress=False) as session,
                # Followed, a redirect would lead to keys that the operator has not named.
                session.get(str(self._source), allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise _NotLoaded(f"{self._name} answered {response.status}")
                if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise _NotLoaded(f"{self._name} answered compressed, although it was asked not to")
                async for chunk in response.content.iter_any():
                    body = _bounded(body + chunk)
        except aiohttp.ClientResponseError as error:
            # It names the address.
            raise _NotLoaded(f"{self._name} does not speak HTTP as expected: {error.message[:200]}") from error
        except aiohttp.InvalidURL as error:
            raise _NotLoaded(f"{self._name} cannot be understood") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _NotLoaded(f"{self._name} cannot be fetched: {str(error) or type(error).__name__}") from error
        return body

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name="coatcheck jwks")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _named(address: str) -> str:
    """The address for messages: without its user and its query, which may be secrets."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "its address"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def parse(text: bytes, algorithms: Collection[str]) -> Keys:
    """The keys of a set that are for these algorithms; others are left out, as RFC 7517 asks."""
    try:
        members = orjson.loads(text)["keys"]
        if not isinstance(members, list):
            raise TypeError
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise _NotLoaded('this is not a JWK Set: {"keys": […]}') from None
    keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
    fitting: dict[str, list[jwt.PyJWK]] = {}
    for member in members:
        if not isinstance(member, dict) or member.get("use", "sig") != "sig":
            continue
        kid = member.get("kid")
        for algorithm in algorithms:
            key = _key(member, algorithm)
            if key is not None:
                fitting.setdefault(algorithm, []).append(key)
                if isinstance(kid, str):
                    keys.setdefault((kid, algorithm), key)
    for algorithm, found in fitting.items():
        if len(found) == 1:
            keys[None, algorithm] = found[0]
    if not keys:
        log.warning("[auth.jwt]: jwks: no key of the set is for %s", ", ".join(algorithms))
    return keys


def _key(member: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    """The member as a key for this algorithm; None if it is not for it, or too short."""
    if member.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK({name: value for name, value in member.items() if name not in _PRIVATE}, algorithm)
        prepared = key.Algorithm.prepare_key(key.key)
        too_short = key.Algorithm.check_key_length(prepared)
    except (jwt.PyJWTError, TypeError, ValueError):
        return None
    if too_short:
        log.warning("[auth.jwt]: jwks: key %r is left out: %s", member.get("kid"), too_short)
        return None
    return key


def _bounded(text: bytes) -> bytes:
    if len(text) > _MAX_BYTES:
        raise _NotLoaded(f"the set is larger than {_MAX_BYTES} bytes")
    return text

"""The way to one vendor's HTTP API: its session, its keys, its answers and errors as ours."""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from ..engine.blobs import Blob
from ..engine.calls import Call
from ..engine.errors import CallFailed, Interrupted, NotConnected, Refused, TimedOut, Unusable
from .credentials import Credential, Credentials
from .options import ProviderOptions, variable
from .upstream import NO_QUOTA, brief, failure, pieces, read_answer, read_error, unquoted

#: A shorter header is a word, not a secret.
SHORTEST_SECRET = 8
_TRACE_HEADERS = ("traceparent", "tracestate")
#: The type of an error that speaks of the key, whatever its status.
_KEY_REFUSED = "provider_authentication_error"
#: What may stand in a segment of a path as it is; a slash may not.
_PLAIN = ":@,"


@dataclass(frozen=True, kw_only=True)
class KeyOptions:
    """One of several keys of a provider."""

    #: The environment variable that holds it.
    env: str
    #: How often it is chosen, in proportion to the others.
    weight: float = field(default=1.0, metadata={"min": 0.001})
    #: The only models it is for; empty: all.
    models: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HttpOptions(ProviderOptions):
    base_url: str = ""
    #: The environment variable with the API key.
    api_key_env: str | None = None
    #: Instead of it: several keys, of which each call takes one.
    api_keys: tuple[KeyOptions, ...] = ()
    #: Sent with every call.
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_timeout_seconds: float = field(default=10.0, metadata={"min": 0.001})
    #: A larger answer fails the job.
    max_answer_bytes: int = field(default=67_108_864, metadata={"min": 1024})


def bearer(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}


def session(**more: Any) -> aiohttp.ClientSession:
    """One that neither unpacks what comes nor keeps cookies; `more` goes to its constructor."""
    return aiohttp.ClientSession(
        # The lanes bound the calls.
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        **more,
    )


class Door:
    def __init__(
        self,
        name: str,
        options: HttpOptions,
        *,
        authorise: Callable[[str], Mapping[str, str]] = bearer,
        environ: Mapping[str, str] = os.environ,
        default_env: str | None = None,
        headers: Mapping[str, str] | None = None,
        understood: Callable[[CallFailed], CallFailed] = lambda failed: failed,
    ) -> None:
        """`authorise` makes the headers that carry a key, `default_env` names the variable of the key where the options
        name none (None: then there is none), `headers` are the vendor's own, which `options.headers` overrides,
        `understood` adds to an error what only this vendor tells in its own way.

        Raises `ValueError` if the options cannot be used: a bad URL, a key that is not set.
        """
        self.name = name
        self._base = URL(options.base_url)
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise ValueError(f"base_url: {options.base_url!r} is not an http or https address")
        self._most = options.max_answer_bytes
        # The pool bounds a call as a whole; only connecting, the look-up of the name included, has its own bound.
        self._timeout = aiohttp.ClientTimeout(total=None, connect=options.connect_timeout_seconds, sock_read=None)
        self._headers = _merged({"Accept-Encoding": "identity"}, headers or {}, options.headers)
        self._authorise = authorise
        #: The headers that requests have in common, by their key and whether they bring JSON.
        self._standing: dict[tuple[Credential | None, bool], dict[str, str]] = {}
        self._understood = understood
        keys = _keys(options, environ, default_env)
        if keys and self._base.user is not None:
            raise ValueError("base_url: it names a user, and api_key_env a key; there can be one of them")
        #: Whether calls carry a key.
        self.keyed = bool(keys)
        #: The environment variables of its keys.
        self.key_envs = [key.env for key in options.api_keys]
        if env := options.api_key_env or default_env:
            self.key_envs.append(env)
        self._keys = Credentials(keys)
        others = (*options.headers.values(), *self._base.query.values(), self._base.password or "")
        #: What must not be kept of an upstream's error: the keys; headers and address, which may hold others.
        self.secrets = [*(key.value for key in keys), *(text for text in others if len(text) >= SHORTEST_SECRET)]
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = session()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def address(self) -> str:
        """The base, without what may be a secret in it."""
        return str(self._base.with_user(None).with_query(None).with_fragment(None)).rstrip("/")

    def serves(self, model: str) -> bool:
        """Whether there is a key for this model, or none is needed."""
        return not self.keyed or self._keys.serve(model)

    def url(self, *segments: str, **query: str) -> URL:
        """The address below the base: each segment is quoted whole, the base's query is kept.

        Raises `CallFailed` with status 400 for a segment that a path cannot hold.
        """
        for segment in segments:
            if segment in ("", ".", ".."):
                message = f"{segment!r} cannot be part of an address of provider {self.name}"
                raise CallFailed(message, status=400, code="invalid_model", param="model")
        quoted = (quote(segment, safe=_PLAIN, errors="replace") for segment in segments)
        return self._base.joinpath(*quoted, encoded=True).with_query({**self._base.query, **query})

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: URL,
        *,
        call: Call | None = None,
        json: Any = None,
        form: Callable[[], aiohttp.FormData | aiohttp.MultipartWriter] | None = None,
        data: bytes | Callable[[], Any] | None = None,
        headers: Mapping[str, str] | None = None,
        model: str = "",
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The vendor's answer, if it is a success (2xx); its body is still to be read.

        A key that is refused or limited rests, and the next one is tried at once: nothing was paid for. So a body that
        can be sent only once is made by `form`, or by a `data` that is called for each try. Without `timeout_seconds`
        only connecting has a bound: the pool has one for the call as a whole.

        Raises `CallFailed` for any other answer, and what the loss of the connection means, while the body is read too.
        """
        assert self._session is not None, "the door is not open yet"
        own = self._own(call, headers)
        body = orjson.dumps(json) if json is not None else None
        timeout = self._timeout
        if timeout_seconds is not None:
            timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=timeout.connect)
        refusal: CallFailed | None = None
        model = model or (call.model if call is not None else "")
        for key in self._turn(model):
            made = body if body is not None else form() if form is not None else data() if callable(data) else data
            told = self._told(key, body is not None, own)
            try:
                async with self._session.request(
                    method, url, data=made, headers=told, allow_redirects=False, timeout=timeout
                ) as response:
                    if 200 <= response.status < 300:
                        if key is not None:
                            self._keys.worked(key)
                        yield response
                        return
                    said = await read_error(response)
                    failed = self._understood(failure(self.name, response, said, self.secrets))
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self.broken(error) from error
            status = 401 if failed.type == _KEY_REFUSED else 402 if failed.code == NO_QUOTA else response.status
            if key is None or not self._keys.failed(key, status, failed.retry_after):
                raise failed
            # Of several, one that was limited says more of what will be than one that was refused.
            refusal = failed if refusal is None or not isinstance(failed, Refused) else refusal
        assert refusal is not None
        if refusal.status == 429 and (soonest := self._keys.soonest(model)) is not None:
            refusal.retry_after = soonest
        raise refusal

    async def ask(self, method: str, url: URL, **more: Any) -> dict[str, Any]:
        """The JSON object that the vendor answers with; the arguments are those of `open`.

        Raises `Unusable` for anything else that it calls a success, and what `open` raises.
        """
        async with self.open(method, url, **more) as response:
            return self.parsed(await self.read(response, more.get("call")))

    async def read(self, response: aiohttp.ClientResponse, call: Call | None = None) -> bytes:
        """The body, of which the call's `original` is told; raises `Unusable` if it is too large, or compressed
        although nobody asked."""
        answer = await read_answer(response, self._most)
        if call is not None and call.original is not None:
            call.original(unquoted(answer, self.secrets))
        return answer

    def parsed(self, answer: bytes) -> dict[str, Any]:
        try:
            result = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise Unusable(f"provider {self.name} answered with something that is not JSON: {error}") from error
        if not isinstance(result, dict):
            raise Unusable(f"provider {self.name} answered with JSON that is not an object")
        return result

    def check(self, answer: Mapping[str, Any]) -> None:
        """Raises `Refused` for an error that came with a success's status."""
        if isinstance(told := answer.get("error"), dict):
            message = brief(str(told.get("message", "an error")), self.secrets)
            raise Refused(f"provider {self.name} answered 200 with an error: {message}")

    async def keep(self, response: aiohttp.ClientResponse, call: Call, media_type: str | None = None) -> Blob:
        """The body as a file of the result, written as it comes; without a `media_type`, of the one it says it has.

        Raises `Unusable` if there is nothing in it, and what `read` raises.
        """
        async with call.new_file(media_type or response.content_type) as file:
            empty = True
            async for piece in pieces(response, self._most):
                empty = False
                await file.write(piece)
            if empty:
                raise Unusable(f"provider {self.name} answered with nothing where a file was due")
        return file.blob

    def broken(self, error: Exception) -> CallFailed:
        """What an error of the connection means."""
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return NotConnected(f"provider {self.name} could not be reached: {self._reason(error)}")
        if isinstance(error, TimeoutError):
            return TimedOut(f"provider {self.name} did not answer in time")
        if isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
            return Interrupted(f"the connection to provider {self.name} was lost after sending: {self._reason(error)}")
        return Unusable(f"provider {self.name} does not speak HTTP as expected: {self._reason(error)}")

    def _reason(self, error: Exception) -> str:
        # What an answer that is no HTTP said, which may be a secret, is for nobody; nor is the address.
        if isinstance(error, aiohttp.ClientResponseError):
            return brief(error.message.partition(":")[0], self.secrets) or type(error).__name__
        return brief(str(error), self.secrets) or type(error).__name__

    def _turn(self, model: str) -> Iterable[Credential | None]:
        if not self.keyed:
            return (None,)
        if not self._keys.serve(model):
            raise Refused(f"provider {self.name} has no key for the model {model}")
        return self._keys.turn(model)

    def _own(self, call: Call | None, headers: Mapping[str, str] | None) -> dict[str, str]:
        """The headers of one call alone."""
        trace = {name: call.trace[name] for name in _TRACE_HEADERS if name in call.trace} if call is not None else {}
        return {**trace, **headers} if headers else trace

    def _told(self, key: Credential | None, json: bool, own: Mapping[str, str]) -> Mapping[str, str]:
        """All headers of a request; those of the key are stronger than the call's, and these than the configured."""
        if not own and (standing := self._standing.get((key, json))) is not None:
            return standing
        typed = {"Content-Type": "application/json"} if json else {}
        told = _merged(typed, self._headers, own, self._authorise(key.value) if key is not None else {})
        if not own:
            self._standing[key, json] = told
        return told


def _merged(*given: Mapping[str, str]) -> dict[str, str]:
    """The headers of all; of those with the same name, in whatever case, the last."""
    return dict({name.lower(): (name, value) for headers in given for name, value in headers.items()}.values())


def _keys(options: HttpOptions, environ: Mapping[str, str], default_env: str | None) -> list[Credential]:
    if options.api_key_env is not None and options.api_keys:
        raise ValueError("api_key_env: it is given, and so is api_keys; there can be one of them")
    env = options.api_key_env if options.api_key_env is not None else default_env
    if options.api_keys:
        return [
            Credential(value=variable(f"api_keys.{i}.env", key.env, environ), weight=key.weight, models=key.models)
            for i, key in enumerate(options.api_keys)
        ]
    return [Credential(value=variable("api_key_env", env, environ))] if env is not None else []

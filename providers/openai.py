"""Any OpenAI-compatible server, remote or on localhost: one POST an operation, at the operation's own path."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from yarl import URL

from ..engine.calls import Call, CallPolicy, Reply
from ..engine.errors import CallFailed, Interrupted, NotConnected, Refused, TimedOut, Unusable
from .openai_stream import StreamError, can_stream, is_stream, read_stream, stream_request
from .options import ProviderOptions
from .upstream import brief, failure, read_answer, stream_failure

#: A shorter header is a word, not a secret.
_SHORTEST_SECRET = 8
_PING_SECONDS = 10.0
_TRACE_HEADERS = ("traceparent", "tracestate")

OPERATIONS = ("chat/completions", "completions", "responses", "embeddings")


@dataclass(frozen=True, kw_only=True)
class OpenAIOptions(ProviderOptions):
    base_url: str = "https://api.openai.com/v1"
    #: The environment variable with the API key; None: no key is sent.
    api_key_env: str | None = None
    organization: str | None = None
    project: str | None = None
    #: Sent with every call.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: What this server can do, of chat/completions, completions, responses, embeddings.
    operations: tuple[str, ...] = OPERATIONS
    connect_timeout_seconds: float = field(default=10.0, metadata={"min": 0.001})
    #: Whether answers are asked for as streams, so that the text is there while it is made.
    stream: bool = False
    #: A larger answer, or stream, fails the job.
    max_answer_bytes: int = field(default=67_108_864, metadata={"min": 1024})
    #: The name under which a chat's token limit is sent; older servers know only "max_tokens".
    max_tokens_field: str = "max_completion_tokens"


class OpenAIProvider:
    def __init__(self, name: str, options: OpenAIOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Raises `ValueError` if the options cannot be used: a bad URL, an operation unknown, a key not set."""
        self.lanes: Mapping[str, int] = {name: options.concurrency}
        self.policy: CallPolicy = options.policy()
        self.models = options.models
        self._name = name
        self._options = options
        unknown = set(options.operations) - set(OPERATIONS)
        if unknown:
            raise ValueError(f"operations: {', '.join(sorted(unknown))} is not one of {', '.join(OPERATIONS)}")
        base = URL(options.base_url)
        if base.scheme not in ("http", "https") or not base.host:
            raise ValueError(f"base_url: {options.base_url!r} is not an http or https address")
        self._urls = {
            operation: base.joinpath(*operation.split("/")).with_query(base.query) for operation in options.operations
        }
        self._models_url = base.joinpath("models").with_query(base.query)
        #: What must not be kept of an upstream's error: the key, and the headers and the query, which may hold others.
        self._secrets = [
            value for value in (*options.headers.values(), *base.query.values()) if len(value) >= _SHORTEST_SECRET
        ]
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **options.headers}
        if options.api_key_env is not None:
            key = environ.get(options.api_key_env)
            if not key:
                raise ValueError(f"api_key_env: the environment variable {options.api_key_env} is not set")
            if base.user is not None:
                raise ValueError("base_url: it names a user, and api_key_env a key; there can be one of them")
            self._secrets.append(key)
            self._headers["Authorization"] = f"Bearer {key}"
        if options.organization is not None:
            self._headers["OpenAI-Organization"] = options.organization
        if options.project is not None:
            self._headers["OpenAI-Project"] = options.project
        self._session: aiohttp.ClientSession | None = None

    def lane(self, operation: str, model: str) -> str:
        return self._name

    def check(self, operation: str, model: str) -> str | None:
        if operation not in self._urls:
            return f"has no operation {operation}; it has {', '.join(self._urls)}"
        if not model:
            return "needs the name of a model"
        return None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._options.concurrency, ttl_dns_cache=60),
            # The pool bounds the call as a whole; only connecting, the look-up of the name included, has its own bound.
            timeout=aiohttp.ClientTimeout(total=None, connect=self._options.connect_timeout_seconds, sock_read=None),
            headers=self._headers,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ping(self) -> str:
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=_PING_SECONDS, connect=self._options.connect_timeout_seconds)
        try:
            async with self._session.get(self._models_url, allow_redirects=False, timeout=timeout) as response:
                answer = await read_answer(response, self._options.max_answer_bytes)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._failure(error) from error
        if response.status in (401, 403):
            said = failure(self._name, response, answer, self._secrets)
            what = "a call without a key" if self._options.api_key_env is None else "the key"
            raise Refused(f"{what} was refused: {said.message}", type=said.type, upstream=said.upstream)
        if response.status in (404, 405):
            return "answers, but lists no models"
        if not 200 <= response.status < 300:
            raise failure(self._name, response, answer, self._secrets)
        try:
            listed = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise Unusable(f"provider {self._name} answered with something that is not JSON: {error}") from error
        models = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(models, list):
            return "answers, but lists no models"
        return f"answers, {len(models)} model{'' if len(models) == 1 else 's'}"

    async def execute(self, call: Call) -> Reply:
        assert self._session is not None
        body = orjson.dumps(self._request(call))
        headers = {name: call.trace[name] for name in _TRACE_HEADERS if name in call.trace}
        if self._streams(call):
            # Some servers close a stream's connection unannounced, and the next call would run into that.
            headers["Connection"] = "close"
        try:
            async with self._session.post(
                self._urls[call.operation], data=body, headers=headers, allow_redirects=False
            ) as response:
                if self._streams(call) and is_stream(response):
                    answer = await read_stream(self._name, call, response, self._options.max_answer_bytes)
                else:
                    answer = await read_answer(response, self._options.max_answer_bytes)
        except aiohttp.ClientError as error:
            raise self._failure(error) from error
        except StreamError as error:
            raise stream_failure(self._name, error.data.encode(), self._secrets) from error
        if not 200 <= response.status < 300:
            raise failure(self._name, response, answer, self._secrets)
        return self._reply(call, answer)

    def _streams(self, call: Call) -> bool:
        return self._options.stream and can_stream(call.operation, call.request)

    def _failure(self, error: Exception) -> CallFailed:
        """What an error of the connection means."""
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return NotConnected(f"provider {self._name} could not be reached: {self._reason(error)}")
        if isinstance(error, TimeoutError):
            return TimedOut(f"provider {self._name} did not answer in time")
        if isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
            return Interrupted(f"the connection to provider {self._name} was lost after sending: {self._reason(error)}")
        return Unusable(f"provider {self._name} does not speak HTTP as expected: {self._reason(error)}")

    def _reason(self, error: Exception) -> str:
        # What an answer that is no HTTP said, which may be a secret, is for nobody; nor is the address.
        if isinstance(error, aiohttp.ClientResponseError):
            return brief(error.message.partition(":")[0], self._secrets) or type(error).__name__
        return brief(str(error), self._secrets) or type(error).__name__

    def _request(self, call: Call) -> dict[str, Any]:
        request = {**call.request, "model": call.model}
        if call.operation == "chat/completions":
            limit = request.pop("max_completion_tokens", None)
            if limit is not None:
                request[self._options.max_tokens_field] = limit
            reasoning = dict(request.pop("reasoning", None) or {})
            effort = reasoning.pop("effort", None)
            if effort is not None:
                request["reasoning_effort"] = effort
            if reasoning:
                request["reasoning"] = reasoning
        return {**request, **stream_request(call.operation)} if self._streams(call) else request

    def _reply(self, call: Call, answer: bytes) -> Reply:
        try:
            result = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise Unusable(f"provider {self._name} answered with something that is not JSON: {error}") from error
        if not isinstance(result, dict):
            raise Unusable(f"provider {self._name} answered with JSON that is not an object")
        told = result.get("error")
        if call.operation != "responses" and isinstance(told, dict):
            message = brief(str(told.get("message", "an error")), self._secrets)
            raise Refused(f"provider {self._name} answered 200 with an error: {message}")
        # What the server itself adds to a result is not for an upstream to say.
        if "extra_fields" in result:
            del result["extra_fields"]
            answer = orjson.dumps(result)
        model = result.get("model")
        return Reply(result=answer.strip(), model=model if isinstance(model, str) else None)

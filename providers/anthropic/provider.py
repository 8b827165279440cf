"""Kind `anthropic`: chats and responses by Anthropic's Messages API, and by servers that speak it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ...engine.calls import Call, Offer, Reply
from ...engine.errors import CallFailed, Unusable
from ..http import Door, HttpOptions
from ..moments import seconds
from ..responses_request import as_chat
from ..responses_result import response
from ..streams import ask_stream
from ..upstream import stream_failure
from ..vendor import Vendor, told
from .messages import FORMAT
from .reply import completion, usage
from .request import messages_request
from .stream import Message

OPERATIONS = ("chat/completions", "responses")
_MOST_MODELS = "1000"
#: The status that an error has whose kind is told alone.
_STATUSES = {
    "invalid_request_error": 400,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


@dataclass(frozen=True, kw_only=True)
class AnthropicOptions(HttpOptions):
    base_url: str = "https://api.anthropic.com/v1"
    #: Of the API, as its header names it. From 2026-10-21 on it takes no temperature, top_p and top_k.
    version: str = "2023-06-01"
    #: The beta features that calls may use, as the header names them.
    betas: tuple[str, ...] = ()
    #: For calls whose client sets no limit: Anthropic requires one.
    max_tokens: int = field(default=16_384, metadata={"min": 1})
    #: Whether answers are asked for as streams: seen while they are made, and free to take more than ten minutes.
    stream: bool = True


class AnthropicProvider(Vendor):
    def __init__(self, name: str, options: AnthropicOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Raises `ValueError` if the options cannot be used: a bad URL, a key that is not set."""
        betas = {"anthropic-beta": ",".join(options.betas)} if options.betas else {}
        door = Door(
            name,
            options,
            authorise=lambda key: {"x-api-key": key},
            environ=environ,
            default_env="ANTHROPIC_API_KEY",
            headers={"anthropic-version": options.version, **betas},
        )
        super().__init__(name, options, OPERATIONS, door)
        self._options = options

    async def ping(self) -> str:
        return told(await self._listed())

    async def offers(self) -> Sequence[Offer]:
        return [
            Offer(
                id=model["id"],
                operations=OPERATIONS,
                about=str(model.get("display_name") or ""),
                created=seconds(model.get("created_at")),
            )
            for model in await self._listed()
        ]

    async def execute(self, call: Call) -> Reply:
        if call.operation == "responses":
            with as_chat(call.request, FORMAT) as chat:
                body = messages_request(chat, call.model, self._options.max_tokens)
        else:
            body = messages_request(call.request, call.model, self._options.max_tokens)
        return self._reply(call, await self._message(call, body))

    async def _message(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        streams, most = self._options.stream, self._options.max_answer_bytes
        if streams:
            body["stream"] = True
        url, message = self.door.url("messages"), Message(self._failure)
        return await ask_stream(self.door, url, call, body, message, most, streams=streams)

    def _failure(self, said: dict[str, Any]) -> CallFailed:
        """The error that a stream ends with."""
        failed = stream_failure(self._name, orjson.dumps(said), self.door.secrets)
        error = said.get("error")
        kind = error.get("type") if isinstance(error, dict) else None
        if kind not in _STATUSES:
            return failed
        return CallFailed(failed.message, status=_STATUSES[kind], type=kind, upstream=failed.upstream)

    async def _listed(self) -> list[dict[str, Any]]:
        """The models that answer; the vendor also lists those that no longer do."""
        listed = await self.listing(self.door.url("models", limit=_MOST_MODELS), "data", "id")
        return [model for model in listed if model.get("lifecycle") != "retired"]

    def _reply(self, call: Call, answer: dict[str, Any]) -> Reply:
        self.door.check(answer)
        try:
            result = completion(answer)
            counted = usage(answer)
        except (AttributeError, KeyError, TypeError) as error:
            raise Unusable(f"provider {self._name} answered with something that is not a message") from error
        if call.operation == "responses":
            result = response(call.request, result)
        return Reply(result=orjson.dumps(result), model=result["model"], usage=counted)

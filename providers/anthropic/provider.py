"""Kind `anthropic`: chats and responses by Anthropic's Messages API, and by servers that speak it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from ...engine.calls import Call, Offer, Reply
from ...engine.errors import CallFailed, Refused, Unusable
from ..http import Door, HttpOptions
from ..responses_request import chat_request, in_terms_of
from ..responses_result import response
from ..streams import is_stream, read_stream
from ..upstream import brief, stream_failure
from ..vendor import Vendor
from .messages import FORMAT
from .reply import completion, usage
from .request import messages_request
from .stream import Message

OPERATIONS = ("chat/completions", "responses")
_PING_SECONDS = 10.0
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
        count = len(await self._listed())
        return f"answers, {count} model{'' if count == 1 else 's'}"

    async def offers(self) -> Sequence[Offer]:
        return [
            Offer(
                id=model["id"],
                operations=OPERATIONS,
                about=str(model.get("display_name") or ""),
                created=_seconds(model.get("created_at")),
            )
            for model in await self._listed()
        ]

    async def execute(self, call: Call) -> Reply:
        if call.operation == "responses":
            chat, places = chat_request(call.request, FORMAT)
            with in_terms_of(places):
                body = messages_request(chat, call.model, self._options.max_tokens)
        else:
            body = messages_request(call.request, call.model, self._options.max_tokens)
        return self._reply(call, await self._message(call, body))

    async def _message(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        url, headers = self.door.url("messages"), {}
        if self._options.stream:
            body["stream"] = True
            # The next call would run into a connection that is closed unannounced.
            headers["Connection"] = "close"
        async with self.door.open("POST", url, call=call, json=body, headers=headers) as response:
            if is_stream(response):
                most = self._options.max_answer_bytes
                return await read_stream(self._name, call, response, most, Message(self._failure))
            return self.door.parsed(await self.door.read(response))

    def _failure(self, said: dict[str, Any]) -> CallFailed:
        """The error that a stream ends with."""
        failed = stream_failure(self._name, orjson.dumps(said), self.door.secrets)
        told = said.get("error")
        kind = told.get("type") if isinstance(told, dict) else None
        if kind not in _STATUSES:
            return failed
        return CallFailed(failed.message, status=_STATUSES[kind], type=kind, upstream=failed.upstream)

    async def _listed(self) -> list[dict[str, Any]]:
        """The models that answer; the vendor also lists those that no longer do."""
        url = self.door.url("models", limit=_MOST_MODELS)
        models = (await self.door.ask("GET", url, timeout_seconds=_PING_SECONDS)).get("data")
        if not isinstance(models, list):
            raise Unusable(f"provider {self._name} answered with something that is not a list of models")
        known = (model for model in models if isinstance(model, dict) and isinstance(model.get("id"), str))
        return [model for model in known if model.get("lifecycle") != "retired"]

    def _reply(self, call: Call, answer: dict[str, Any]) -> Reply:
        told = answer.get("error")
        if isinstance(told, dict):
            message = brief(str(told.get("message", "an error")), self.door.secrets)
            raise Refused(f"provider {self._name} answered 200 with an error: {message}")
        try:
            result = completion(answer)
            counted = usage(answer)
        except (AttributeError, KeyError, TypeError) as error:
            raise Unusable(f"provider {self._name} answered with something that is not a message") from error
        if call.operation == "responses":
            result = response(call.request, result)
        return Reply(result=orjson.dumps(result), model=result["model"], usage=counted)


def _seconds(moment: object) -> int:
    try:
        return max(int(datetime.fromisoformat(str(moment)).timestamp()), 0)
    except (ValueError, OverflowError):
        return 0

"""Any OpenAI-compatible server, remote or on localhost: one POST an operation, at the operation's own path."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import orjson
from yarl import URL

from ...engine.calls import Call, Offer, Reply
from ...engine.errors import CallFailed, Refused, Unusable
from ..http import Door, HttpOptions, bearer
from ..presets import OPERATIONS, PRESETS, Preset
from ..streams import is_stream
from ..upstream import stream_failure
from ..vendor import PING_SECONDS, Vendor, told
from .chats import effort
from .chats import plain as plain_chat
from .files import drawn, heard, spoken, upload
from .moderations import judged
from .ranking import ranked, ranking_request
from .results import plain
from .stream import StreamError, can_stream, read_stream, stream_request

#: Operations whose request is a form.
_FORMS = ("audio/transcriptions", "images/edits", "images/variations")

#: These always answer with the image itself, and refuse to be asked how.
_IMAGE_MODELS = ("gpt-image-", "chatgpt-image-")


@dataclass(frozen=True, kw_only=True)
class OpenAIOptions(HttpOptions):
    organization: str | None = None
    project: str | None = None
    #: What this server can do; empty: what the kind can.
    operations: tuple[str, ...] = ()
    #: Whether answers are asked for as streams, so that the text is there while it is made.
    stream: bool = False
    #: The name under which a chat's token limit is sent; empty: the kind's. Older servers know only "max_tokens".
    max_tokens_field: str = ""
    #: Whether chats may hold what other vendors' APIs have beyond OpenAI's; None: as the kind's may.
    extras: bool | None = None


class OpenAIProvider(Vendor):
    def __init__(
        self,
        name: str,
        options: OpenAIOptions,
        environ: Mapping[str, str] = os.environ,
        *,
        preset: Preset = PRESETS["openai"],
    ) -> None:
        """Raises `ValueError` if the options cannot be used: a bad URL, an operation unknown, a key not set."""
        self._options = options
        self._preset = preset
        unknown = set(options.operations) - set(OPERATIONS)
        if unknown:
            raise ValueError(f"operations: {', '.join(sorted(unknown))} is not one of {', '.join(OPERATIONS)}")
        #: It speaks OpenAI's API and is not OpenAI.
        self._elsewhere = bool(options.base_url) and preset is PRESETS["openai"]
        usual = {} if self._elsewhere else preset.usual
        super().__init__(name, options, options.operations or self._known(), self._opened(name, environ), usual)
        self._urls = {operation: self.door.url(*operation.split("/")) for operation in self._operations}

    async def ping(self) -> str:
        try:
            listed = await self._listed()
        except CallFailed as failed:
            if _status(failed) in (401, 403):
                what = "the key" if self.door.keyed else "a call without a key"
                said = f"{what} was refused: {failed.message}"
                raise Refused(said, type=failed.type, upstream=failed.upstream) from failed
            raise
        if listed is None:
            return "answers, but lists no models"
        return told(listed)

    async def offers(self) -> Sequence[Offer]:
        listed = await self._listed()
        if listed is None:
            return [Offer(id=model) for model in self.models]
        return [_offer(item) for item in listed]

    async def execute(self, call: Call) -> Reply:
        streams = self._options.stream and can_stream(call.operation, call.request)
        request = self._request(call)
        body: dict[str, Any] = {"json": {**request, **self._stream_request(call)} if streams else request}
        if call.operation in _FORMS:
            body = {"form": lambda: upload(call, request, brackets=self._preset.brackets)}
        # Some servers close a stream's connection unannounced, and the next call would run into that.
        headers = {"Connection": "close"} if streams else {}
        try:
            async with self.door.open("POST", self._url(call), call=call, headers=headers, **body) as response:
                if streams and is_stream(response):
                    answer = await read_stream(self._name, call, response, self._options.max_answer_bytes)
                    return plain(self.door, call, answer, self._preset.cost)
                return await self._read(call, response)
        except StreamError as error:
            raise stream_failure(self._name, error.data.encode(), self.door.secrets) from error

    def _known(self) -> tuple[str, ...]:
        """The operations, where the configuration does not name them."""
        if self._elsewhere:
            # What it lacks it refuses.
            return OPERATIONS
        return self._preset.operations

    def _opened(self, name: str, environ: Mapping[str, str]) -> Door:
        options, preset = self._options, self._preset
        own = {"OpenAI-Organization": options.organization, "OpenAI-Project": options.project}
        return Door(
            name,
            replace(options, base_url=options.base_url or preset.base_url),
            authorise=bearer,
            environ=environ,
            default_env=self._key_env(),
            headers={name: value for name, value in own.items() if value is not None},
        )

    def _key_env(self) -> str | None:
        """The variable of the key, where the configuration names none: another server than OpenAI's may need no key,
        and one that is given as a header is the operator's business."""
        carried = {"authorization", "api-key"} & {name.lower() for name in self._options.headers}
        return None if carried or self._elsewhere else self._preset.key_env

    def _url(self, call: Call) -> URL:
        return self._urls[call.operation]

    def _models_url(self) -> URL:
        return self.door.url("models")

    async def _listed(self) -> list[Any] | None:
        """What the server lists as its models; None if it lists none."""
        try:
            async with self.door.open("GET", self._models_url(), timeout_seconds=PING_SECONDS) as response:
                answer = await self.door.read(response)
        except CallFailed as failed:
            if _status(failed) in (404, 405):
                return None
            raise
        try:
            listed = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise Unusable(f"provider {self._name} answered with something that is not JSON: {error}") from error
        found = listed.get("data") if isinstance(listed, dict) else listed
        if not isinstance(found, list):
            return None
        return [item for item in found if isinstance(item, dict) and isinstance(item.get("id"), str)]

    async def _read(self, call: Call, response: aiohttp.ClientResponse) -> Reply:
        match call.operation:
            case "audio/speech":
                return await spoken(self.door, response, call)
            case "audio/transcriptions":
                return await heard(self.door, response, call)
            case "images/generations" | "images/edits" | "images/variations":
                return await drawn(self.door, response, call)
            case "rerank":
                return ranked(self.door, call, await self.door.read(response, call))
            case "moderations":
                return judged(self.door, call, await self.door.read(response, call))
        return plain(self.door, call, await self.door.read(response, call), self._preset.cost)

    def _stream_request(self, call: Call) -> dict[str, Any]:
        said = stream_request(call.operation)
        return said if self._preset.stream_options else {"stream": said["stream"]}

    def _request(self, call: Call) -> dict[str, Any]:
        request = {**call.request, "model": call.model}
        if call.operation == "chat/completions":
            request = self._chat(request)
        elif call.operation == "rerank":
            request = ranking_request(request)
        elif call.operation.startswith("images/"):
            if call.model.startswith(_IMAGE_MODELS):
                request.pop("response_format", None)
            elif request.get("response_format") == "b64_json":
                request["response_format"] = self._preset.b64_json
        names = self._preset.names.get(call.operation, {})
        if not names:
            return request
        return {names.get(name, name): value for name, value in request.items() if names.get(name, name)}

    def _chat(self, request: dict[str, Any]) -> dict[str, Any]:
        preset, options = self._preset, self._options
        limit = request.pop("max_completion_tokens", None)
        if limit is not None:
            request[options.max_tokens_field or preset.max_tokens_field] = limit
        if preset.extras if options.extras is None else options.extras:
            return request
        wanted = effort(request.pop("reasoning", None) or {})
        if wanted is not None:
            request["reasoning_effort"] = wanted
        return plain_chat(request, () if self._elsewhere else preset.refused)


def _offer(listed: Mapping[str, Any]) -> Offer:
    created = listed.get("created")
    return Offer(id=listed["id"], created=created if isinstance(created, int) and created > 0 else 0)


def _status(failed: CallFailed) -> object:
    return failed.upstream.get("status") if isinstance(failed.upstream, dict) else None

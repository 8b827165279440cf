"""Kind `gemini`: Google's Gemini API, by its own format: chats, responses, embeddings, images, speech."""

import asyncio
import base64
import binascii
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ...engine.calls import Call, Offer, Reply
from ...engine.errors import CallFailed, Unusable
from ..http import Door, HttpOptions
from ..responses_request import as_chat
from ..responses_result import response
from ..streams import ask_stream
from ..upstream import stream_failure
from ..vendor import Vendor, told
from . import images
from .contents import FORMAT
from .embeddings import embedding_request, embeddings
from .errors import filtered, understood
from .models import operations
from .reply import completion
from .request import content_request
from .speech import sound, speech_request
from .stream import Answer
from .usage import plain_usage, usage

OPERATIONS = ("chat/completions", "responses", "embeddings", "audio/speech", "images/generations", "images/edits")
#: Models for operations that few are for, the default first.
USUAL = {
    "embeddings": ("gemini-embedding-001", "gemini-embedding-2"),
    "audio/speech": ("gemini-3.8-flash-tts", "gemini-3.8-flash-lite-tts"),
    "images/generations": ("gemini-3.1-flash-lite-image",),
    "images/edits": ("gemini-3.1-flash-lite-image",),
}
_MOST_MODELS = "1000"
#: Larger content is decoded off the loop.
_MUCH_BASE64 = 262_144


@dataclass(frozen=True, kw_only=True)
class GeminiOptions(HttpOptions):
    base_url: str = "https://generativelanguage.googleapis.com/v1beta"
    #: Whether chats and responses are asked for as streams: their text is there while it is made.
    stream: bool = True


class GeminiProvider(Vendor):
    def __init__(self, name: str, options: GeminiOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Raises `ValueError` if the options cannot be used: a bad URL, a key that is not set."""
        door = Door(
            name,
            options,
            authorise=lambda key: {"x-goog-api-key": key},
            environ=environ,
            default_env="GEMINI_API_KEY",
            understood=understood,
        )
        super().__init__(name, options, OPERATIONS, door, USUAL)
        self._options = options

    async def ping(self) -> str:
        return told(await self.offers())

    async def offers(self) -> Sequence[Offer]:
        found = []
        for model in await self.listing(self.door.url("models", pageSize=_MOST_MODELS), "models", "name"):
            name = model["name"].removeprefix("models/")
            if can := operations(name, model.get("supportedGenerationMethods") or []):
                found.append(Offer(id=name, operations=can, about=str(model.get("displayName") or "")))
        return found

    async def execute(self, call: Call) -> Reply:
        if call.operation == "embeddings":
            return await self._embed(call)
        if call.operation == "audio/speech":
            return await self._speak(call)
        if call.operation.startswith("images/"):
            return await self._draw(call)
        return await self._chat(call)

    async def _chat(self, call: Call) -> Reply:
        if call.operation == "responses":
            with as_chat(call.request, FORMAT) as chat:
                body = content_request(chat, call.model)
        else:
            body = content_request(call.request, call.model)
        answer = await (self._stream(call, body) if self._options.stream else self._ask(call, "generateContent", body))
        self._check(answer)
        with self._understanding():
            result = completion(answer)
            searches = sum(_searches(candidate) for candidate in answer["candidates"])
            counted = replace(usage(answer), searches=searches or None)
            result["model"] = result["model"] or call.model
        if call.operation == "responses":
            result = response(call.request, result)
        return Reply(result=orjson.dumps(result), model=result["model"], usage=counted)

    async def _embed(self, call: Call) -> Reply:
        body = embedding_request(call.request, call.model)
        answer = await self._ask(call, "batchEmbedContents", body)
        with self._understanding():
            result = {**embeddings(self._name, call.request, body, answer), "model": call.model}
            counted = usage(answer)
        return Reply(result=orjson.dumps(result), usage=counted)

    async def _draw(self, call: Call) -> Reply:
        body = await images.image_request(call.request, call.files)
        answer = await self._generate(call, body)
        with self._understanding():
            blobs = images.blobs(answer)
            counted, shown = usage(answer), plain_usage(answer)
            if not blobs:
                raise self._without_image(answer)
        kept = []
        for media_type, data in blobs:
            async with call.new_file(media_type) as file:
                await file.write(await self._decoded(data))
            kept.append(file.blob)
        placeholders = [(blob.media_type, blob.placeholder) for blob in kept]
        result = images.result(placeholders, shown)
        return Reply(
            result=orjson.dumps({**result, "model": call.model}),
            model=_model(answer),
            usage=replace(counted, images=len(kept)),
            files=tuple(kept),
        )

    async def _speak(self, call: Call) -> Reply:
        body = speech_request(call.request, call.model)
        answer = await self._generate(call, body)
        with self._understanding():
            blobs = images.blobs(answer)
            counted, shown = usage(answer), plain_usage(answer)
            if not blobs:
                raise Unusable(f"provider {self._name} answered without sound: {images.reason(answer)[1]}")
        media_type, data = blobs[0]
        spoken = sound(media_type, await self._decoded(data))
        if spoken is None:
            raise Unusable(f"provider {self._name} answered with sound of another kind: {media_type}")
        plain = call.request.get("response_format") == "pcm"
        async with call.new_file("audio/pcm" if plain else "audio/wav") as file:
            if not plain:
                await file.write(spoken.head())
            await file.write(spoken.samples)
        return Reply(
            result=orjson.dumps({"audio": file.blob.placeholder, "usage": shown}),
            model=_model(answer),
            usage=replace(counted, characters=len(call.request["input"]), seconds=spoken.seconds),
            files=(file.blob,),
        )

    async def _generate(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._ask(call, "generateContent", body)
        self._check(answer)
        return answer

    def _check(self, answer: dict[str, Any]) -> None:
        """Raises `Refused` for a prompt that was blocked, and `Unusable` for nothing."""
        feedback = answer.get("promptFeedback")
        if not answer.get("candidates") and isinstance(feedback, dict) and feedback.get("blockReason"):
            message = feedback.get("blockReasonMessage") or f"its reason is {feedback['blockReason']}"
            raise filtered(f"provider {self._name} blocked the prompt: {message}", feedback)
        if not answer.get("candidates"):
            raise Unusable(f"provider {self._name} answered with nothing")

    async def _stream(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        url = self.door.url("models", f"{call.model}:streamGenerateContent", alt="sse")
        most = self._options.max_answer_bytes
        return await ask_stream(self.door, url, call, body, Answer(self._failure), most)

    def _failure(self, said: dict[str, Any]) -> CallFailed:
        return understood(stream_failure(self._name, orjson.dumps(said), self.door.secrets))

    async def _ask(self, call: Call, method: str, body: dict[str, Any]) -> dict[str, Any]:
        url = self.door.url("models", f"{call.model}:{method}")
        return await self.door.ask("POST", url, call=call, json=body)

    async def _decoded(self, data: str) -> bytes:
        try:
            if len(data) > _MUCH_BASE64:
                return await asyncio.to_thread(base64.b64decode, data, validate=True)
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise Unusable(f"provider {self._name} answered with base64 that is none: {error}") from error

    def _without_image(self, answer: dict[str, Any]) -> CallFailed:
        reason, words = images.reason(answer)
        if reason in ("STOP", "MAX_TOKENS", "OTHER", "NO_IMAGE", "IMAGE_OTHER"):
            return Unusable(f"provider {self._name} answered without an image: {words}")
        return filtered(f"provider {self._name} made no image, its reason is {reason}: {words}", {"reason": reason})

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        try:
            yield
        except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
            raise Unusable(f"provider {self._name} answered with something that is not an answer") from error


def _searches(candidate: dict[str, Any]) -> int:
    return len((candidate.get("groundingMetadata") or {}).get("webSearchQueries") or ())


def _model(answer: dict[str, Any]) -> str | None:
    model = answer.get("modelVersion")
    return model if isinstance(model, str) else None

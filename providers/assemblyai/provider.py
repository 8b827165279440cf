"""AssemblyAI: transcription, which the vendor runs as a job: uploaded, launched, asked after.

What has been reached is saved on the way, as JSON: `{}` before the upload, the address of the upload before the launch,
the transcript's id after it. An upload has an address of its own, by which a transcript is found again whose id was
never heard of: so nothing is launched twice.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson

from ...engine.calls import Call, File, Offer, Progress, Reply, Usage
from ...engine.errors import CallFailed, Refused, Unusable
from ..http import Door, HttpOptions
from ..polling import ANSWER_SECONDS, GONE, poll, unlaunched
from ..upstream import brief
from ..vendor import Vendor
from .transcripts import SUBTITLES, raw_head, result, transcript_request, wants_sentences

OPERATION = "audio/transcriptions"
#: What is offered where the configuration names no models.
_MODELS = ("universal-3-5-pro", "universal-3-pro", "universal-2")
#: The second hears the languages that the first does not.
_DEFAULT = "universal-3-5-pro,universal-2"
#: How many transcripts are looked through for one whose id was not heard of: pages, and on each.
_PAGES, _PAGE = 5, 200
_PIECE_BYTES = 262_144


@dataclass(frozen=True, kw_only=True)
class AssemblyAIOptions(HttpOptions):
    base_url: str = "https://api.assemblyai.com"
    #: Seconds until a transcript is first asked after; they grow tenfold.
    poll_seconds: float = field(default=2.0, metadata={"min": 0.001})


class AssemblyAIProvider(Vendor):
    def __init__(self, name: str, options: AssemblyAIOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Raises `ValueError` if the options cannot be used: a bad URL, a key not set."""
        door = Door(
            name,
            options,
            authorise=lambda key: {"Authorization": key},
            environ=environ,
            default_env="ASSEMBLYAI_API_KEY",
        )
        super().__init__(name, options, (OPERATION,), door, {OPERATION: (_DEFAULT,)})
        self._options = options

    async def ping(self) -> str:
        url = self.door.url("v2", "transcript", limit="1")
        await self.door.ask("GET", url, timeout_seconds=ANSWER_SECONDS)
        return "answers, and takes the key"

    async def offers(self) -> Sequence[Offer]:
        return [Offer(id=model, operations=(OPERATION,)) for model in self.models or _MODELS]

    async def execute(self, call: Call) -> Reply:
        (file,) = call.files["file"]
        request = transcript_request(call)
        held = _held(call.checkpoint)
        if not (launched := "id" in held):
            held = await self._launched(call, file, request, held)
            await call.save(orjson.dumps(held).decode())
        ask = partial(self._asked, call, held["id"])
        transcript = await poll(ask, poll_seconds=self._options.poll_seconds, at_once=launched)
        if transcript["status"] == "error":
            await call.save(None)
            raise self._failed(transcript)
        return await self._reply(call, transcript)

    async def abandon(self, call: Call) -> None:
        """The vendor has no way to stop a transcript, only one to delete it: it may be charged for all the same."""
        held = _held(call.checkpoint)
        id = held.get("id") or (await self._found(call, held["upload"]) if "upload" in held else None)
        if id is None:
            return
        try:
            await self.door.ask("DELETE", self.door.url("v2", "transcript", id), call=call)
        except CallFailed as failed:
            if failed.status not in GONE:
                raise

    async def _launched(self, call: Call, file: File, request: dict[str, Any], held: dict[str, str]) -> dict[str, str]:
        """The transcript's id; the upload, and the transcript, that an earlier attempt came to are taken up."""
        if "upload" in held:
            if (id := await self._found(call, held["upload"])) is not None:
                return {"id": id}
        else:
            await call.save("{}")
            async with unlaunched(call):
                held = {"upload": await self._uploaded(call, file)}
            await call.save(orjson.dumps(held).decode())
        try:
            launched = await self.door.ask(
                "POST", self.door.url("v2", "transcript"), call=call, json={"audio_url": held["upload"], **request}
            )
        except CallFailed as failed:
            if _is_definite(failed):
                await call.save(None)
            raise
        return {"id": self._word(launched, "id")}

    async def _uploaded(self, call: Call, file: File) -> str:
        head = raw_head(call, file)
        total = len(head) + file.size_bytes

        async def body() -> AsyncIterator[bytes]:
            sent = len(head)
            if head:
                yield head
            with await asyncio.to_thread(file.path.open, "rb") as source:
                while piece := await asyncio.to_thread(source.read, _PIECE_BYTES):
                    yield piece
                    sent += len(piece)
                    call.progress(Progress(done=sent, total=total, unit="bytes"))

        told = {"Content-Type": "application/octet-stream", "Content-Length": str(total)}
        url = self.door.url("v2", "upload")
        return self._word(await self.door.ask("POST", url, call=call, data=body, headers=told), "upload_url")

    async def _found(self, call: Call, upload: str) -> str | None:
        """The id of the transcript of that upload, if it was launched and is not long past."""
        earlier: dict[str, str] = {}
        for _ in range(_PAGES):
            url = self.door.url("v2", "transcript", limit=str(_PAGE), **earlier)
            listed = (await self.door.ask("GET", url, call=call)).get("transcripts")
            transcripts = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
            for each in transcripts:
                if each.get("audio_url") == upload:
                    return self._word(each, "id")
            if len(transcripts) < _PAGE:
                break
            earlier = {"before_id": self._word(transcripts[-1], "id")}
        return None

    async def _asked(self, call: Call, id: str) -> dict[str, Any] | None:
        """The transcript once it has ended, well or in an error."""
        url = self.door.url("v2", "transcript", id)
        try:
            transcript = await self.door.ask("GET", url, call=call, timeout_seconds=ANSWER_SECONDS)
        except CallFailed as failed:
            if failed.status in GONE:
                await call.save(None)
            raise
        return transcript if transcript.get("status") in ("completed", "error") else None

    def _failed(self, transcript: dict[str, Any]) -> CallFailed:
        said = brief(str(transcript.get("error") or "no text"), self.door.secrets)
        message = f"provider {self._name} could not transcribe the file: {said}"
        # The vendor has no codes; of its own faults it says that they are, and to try again.
        own = any(word in said.lower() for word in ("server error", "internal error", "try again", "our end"))
        status = 502 if own else 422
        return CallFailed(message, status=status, code="transcription_failed", upstream={"status": 200, "body": said})

    async def _reply(self, call: Call, transcript: dict[str, Any]) -> Reply:
        id = self._word(transcript, "id")
        wanted = call.request.get("response_format")
        text: str | None = None
        sentences: list[Any] = []
        if wanted in SUBTITLES:
            url = self.door.url("v2", "transcript", id, wanted)
            async with self.door.open("GET", url, call=call) as response:
                text = (await self.door.read(response)).decode("utf-8", "replace")
        elif wants_sentences(call, transcript):
            url = self.door.url("v2", "transcript", id, "sentences")
            # What it answered is the transcript.
            found = (await self.door.ask("GET", url, call=replace(call, original=None))).get("sentences")
            sentences = found if isinstance(found, list) else []
        try:
            made = result(call, transcript, sentences, text)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unusable(f"provider {self._name} answered with a transcript that is not one: {error!r}") from error
        model = transcript.get("speech_model_used")
        seconds = transcript.get("audio_duration")
        return Reply(
            result=orjson.dumps(made),
            model=model if isinstance(model, str) else call.model,
            usage=Usage(seconds=float(seconds)) if isinstance(seconds, int | float) else None,
        )

    def _word(self, answer: dict[str, Any], key: str) -> str:
        word = answer.get(key)
        if not isinstance(word, str) or not word:
            raise Unusable(f"provider {self._name} answered without {key!r}")
        return word


def _held(checkpoint: str | None) -> dict[str, str]:
    held: dict[str, str] = orjson.loads(checkpoint) if checkpoint is not None else {}
    return held


def _is_definite(failed: CallFailed) -> bool:
    """Whether the vendor has said for certain that it launched nothing."""
    return isinstance(failed, Refused) or (type(failed) is CallFailed and 400 <= failed.status < 500)

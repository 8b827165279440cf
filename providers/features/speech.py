"""Text to speech, by speech."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...engine.calls import Call, Reply
from ...engine.errors import Unusable
from ..refusals import refusal, unsupported
from .ways import Asked

#: The voice for those who name none, by the provider's kind.
_VOICES: Mapping[str, str] = {
    "azure": "alloy",
    "echo": "alloy",
    "gemini": "Kore",
    "groq": "autumn",
    "local": "heart",
    "openai": "alloy",
}
#: Where a request says it; Mistral has a word of its own.
_VOICE_FIELDS = ("voice", "voice_id")


class Speech:
    operations: ClassVar[tuple[str, ...]] = ("audio/speech",)

    async def ask(self, call: Call, kind: str, own: Mapping[str, Any]) -> Asked:
        given = call.request["input"]
        for field in ("speaking_pitch", "speaking_volume"):
            if given.get(field):
                raise unsupported(f"The provider's {field.removeprefix('speaking_')} cannot be set.", f"input.{field}")
        request: dict[str, Any] = {"input": given["text"]}
        if voice := given.get("voice") or _VOICES.get(kind):
            request["voice"] = voice
        elif not any(own.get(name) for name in _VOICE_FIELDS):
            raise refusal("The provider has no usual voice: name one.", "input.voice", "missing_parameter")
        if "speed" in given:
            request["speed"] = given["speed"]
        if "audio_format" in given:
            request["response_format"] = given["audio_format"]
        elif kind == "groq":
            # Its voices come as WAV alone, which is not what its API takes them to be asked for.
            request["response_format"] = "wav"
        return Asked(operation="audio/speech", request=request)

    def answer(self, made: Call, result: dict[str, Any], reply: Reply) -> dict[str, Any]:
        if not reply.files:
            raise Unusable("the provider answered without sound")
        sound = reply.files[0]
        voice = next(str(made.request[name]) for name in _VOICE_FIELDS if made.request.get(name))
        return {"audio": sound.placeholder, "voice_type": voice, "audio_resource_url": sound.link}

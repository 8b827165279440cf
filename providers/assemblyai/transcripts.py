"""Between OpenAI's transcriptions and AssemblyAI's transcripts: what is asked, and what becomes of the answer."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson

from ...engine.calls import Call, File
from ..refusals import invalid, unsupported
from ..waves import wave_head

#: Formats that the vendor makes itself.
SUBTITLES = ("srt", "vtt")
#: Fields of the request that are not the vendor's: they are translated, or tell how the result is to look.
_OURS = frozenset(
    {
        *("model", "fallbacks", "file", "file_format", "stream", "user", "language", "prompt", "temperature"),
        *("response_format", "timestamp_granularities", "include"),
    }
)
#: The vendor's fields that are not for a client: what is transcribed, by which model, and whom the vendor tells.
_DENIED = ("audio_url", "speech_model", "speech_models", "webhook_url", "webhook_auth_header_name")
#: Models that are named by the vendor's older field.
_OLDER = frozenset({"best", "nano", "slam-1", "universal"})
#: Languages that the vendor names otherwise.
_LANGUAGES = {"en_gb": "en_uk"}

_RAW = "pcm_s16le_16"
_RAW_RATE = 16_000
_MAX_WAVE_BYTES = 2**32 - 1


def transcript_request(call: Call) -> dict[str, Any]:
    """The vendor's request, but for the address of the audio. Raises `CallFailed` with status 400 for what the vendor
    cannot do."""
    request = call.request
    if request.get("include"):
        raise unsupported("AssemblyAI tells no log probabilities.", "include")
    for name in _DENIED:
        if name in request:
            raise unsupported(f"{name} is not for a request to say.", name)
    models = call.model.split(",")
    asked: dict[str, Any] = {"speech_model": call.model} if call.model in _OLDER else {"speech_models": models}
    if language := request.get("language"):
        code = str(language).lower().replace("-", "_")
        asked["language_code"] = _LANGUAGES.get(code, code)
    else:
        asked["language_detection"] = True
    for name in ("prompt", "temperature"):
        if request.get(name) is not None:
            asked[name] = request[name]
    more = {name: _plain(value) for name, value in request.items() if name not in _OURS}
    return {**asked, **more}


def raw_head(call: Call, file: File) -> bytes:
    """What makes a WAVE file of raw samples, where the request says that they are; nothing otherwise."""
    if call.request.get("file_format") != _RAW:
        return b""
    size = file.size_bytes
    if size + 36 > _MAX_WAVE_BYTES:
        raise invalid("The file is too long for raw samples.", "file")
    return wave_head(size, _RAW_RATE)


def wants_sentences(call: Call, transcript: dict[str, Any]) -> bool:
    """Whether the result has segments that the transcript has not: those of its speakers, if it knows any, will do."""
    return _is_verbose(call) and "segment" in _granularities(call) and not transcript.get("utterances")


def result(call: Call, transcript: dict[str, Any], sentences: Sequence[Any], subtitles: str | None) -> dict[str, Any]:
    """The transcript in OpenAI's shape."""
    duration = transcript.get("audio_duration")
    made: dict[str, Any] = {"text": transcript.get("text") or "" if subtitles is None else subtitles}
    if duration is not None:
        made["usage"] = {"type": "duration", "seconds": duration}
    if call.request.get("response_format") in ("text", *SUBTITLES):
        return made
    if duration is not None:
        made["duration"] = duration
    if transcript.get("language_code"):
        made["language"] = transcript["language_code"]
    if parts := transcript.get("utterances") or sentences:
        made["segments"] = [_segment(number, part) for number, part in enumerate(parts)]
    if _is_verbose(call):
        made["task"] = "transcribe"
        if "word" in _granularities(call):
            made["words"] = [
                {"word": word["text"], "start": word["start"] / 1000, "end": word["end"] / 1000}
                for word in transcript.get("words") or []
            ]
    return made


def _segment(number: int, part: dict[str, Any]) -> dict[str, Any]:
    times = {name: part[name] / 1000 for name in ("start", "end")}
    speaker = {"speaker": part["speaker"]} if part.get("speaker") else {}
    return {"id": number, **times, "text": part["text"], **speaker}


def _is_verbose(call: Call) -> bool:
    return bool(call.request.get("response_format") == "verbose_json")


def _granularities(call: Call) -> Sequence[str]:
    return call.request.get("timestamp_granularities") or ("segment",)


def _plain(value: Any) -> Any:
    """A form has text alone: what reads as a number, a truth, a list or an object is one."""
    if isinstance(value, str):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(value)
    return value

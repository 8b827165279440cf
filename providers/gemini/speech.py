"""Speech by Gemini's speaking models: text in generateContent, PCM or a WAV file out."""

import re
import struct
from dataclasses import dataclass
from typing import Any

from ..refusals import unsupported
from ..waves import SAMPLE_BYTES, wave_head
from .models import speaks_by_turns

FORMATS = ("wav", "pcm")
_RATE = re.compile(r"rate=(\d{4,6})", re.ASCII)
_DEFAULT_RATE = 24_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """Samples of 16 bits, the least significant byte first, of one channel."""

    samples: bytes
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / (SAMPLE_BYTES * self.rate)

    def head(self) -> bytes:
        """What makes a WAV file of the samples that follow it."""
        return wave_head(len(self.samples), self.rate)


def speech_request(request: dict[str, Any], model: str) -> dict[str, Any]:
    """Raises `CallFailed` with status 400 for what the sound would lack."""
    wanted = request.get("response_format")
    if wanted not in (None, *FORMATS):
        raise unsupported(f"Gemini speaks {' or '.join(FORMATS)}, not {wanted}.", "response_format")
    if (request.get("speed") or 1) != 1:
        raise unsupported("Gemini's pace is told in the instructions.", "speed")
    turns = speaks_by_turns(model)
    voice = request.get("voice")
    speakers = {each["speaker"]: _voice(each["voice"], turns) for each in voice} if isinstance(voice, list) else {}
    if speakers:
        named = [{"speaker": speaker, "voiceConfig": config} for speaker, config in speakers.items()]
        config: dict[str, Any] = {"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": named}}
    else:
        config = {"voiceConfig": _voice(str(voice), turns)}
    if request.get("language_code"):
        config["languageCode"] = request["language_code"]
    text, style = request["input"], request.get("instructions")
    parts = _turns(text, style, list(speakers)) if turns else [{"text": f"{style}\n\n{text}" if style else text}]
    return {
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": config},
    }


def sound(media_type: str, data: bytes) -> Sound | None:
    """The samples that a blob of this type holds; None if it holds something else."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind in ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"):
        return _of_wav(data)
    if kind in ("audio/l16", "audio/pcm"):
        found = _RATE.search(media_type)
        return Sound(samples=data, rate=int(found[1]) if found else _DEFAULT_RATE)
    return None


def _voice(name: str, turns: bool) -> dict[str, Any]:
    return {"voice": name} if turns else {"prebuiltVoiceConfig": {"voiceName": name}}


def _turns(text: str, style: str | None, speakers: list[str]) -> list[dict[str, Any]]:
    """A part for each turn of "Speaker: what is said", with its speaker and the style of all."""
    told = {"style": style} if style else {}
    starts = []
    if speakers:
        names = "|".join(re.escape(speaker) for speaker in speakers)
        starts = list(re.finditer(rf"^[ \t]*({names})[ \t]*:[ \t]*", text, re.MULTILINE))
    if not starts:
        return [{"text": text, **({"speechMetadata": told} if told else {})}]
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return [
        {"text": text[start.end() : end].strip(), "speechMetadata": {"speaker": start[1], **told}}
        for start, end in zip(starts, ends, strict=True)
    ]


def _of_wav(data: bytes) -> Sound | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    rate, at = None, 12
    while at + 8 <= len(data):
        name, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        if name == b"fmt " and size >= 16:
            form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at + 8)
            if (form, channels, bits) != (1, 1, 16):
                return None
        elif name == b"data" and rate:
            # A file that was written as it was made may tell no length.
            return Sound(samples=data[at + 8 : at + 8 + size], rate=rate)
        at += 8 + size + size % 2
    return None

"""Transcription in a worker: faster-whisper hears a recording, in stretches that are cut where it is quiet."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from faster_whisper import WhisperModel

from ..refusals import refusal
from ..workers.task import Task
from .audio import Recording, Samples
from .subtitles import srt, vtt

_RATE = 16_000
#: Memory grows with what is heard in one go; a stretch is cut at the quietest moment of its end.
_STRETCH_SECONDS = 300
_CUT_SECONDS = 30
_QUIET_SAMPLES = _RATE // 5
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
#: Where no temperature is asked for: the next where the one before gave a text that repeats itself or is improbable.
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class TranscriptionModel:
    def __init__(self, *, model: str, path: str) -> None:
        self._model = model
        threads = max(1, len(os.sched_getaffinity(0)) - 1)
        self._whisper = WhisperModel(
            str(Path(path).parent), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        form = request.get("response_format") or "json"
        if form not in _FORMATS:
            raise refusal(f"response_format is one of {', '.join(_FORMATS)}.", "response_format", "invalid_value")
        if request.get("include"):
            raise refusal("Local models have nothing of include: leave it away.", "include")
        [file] = task.files["file"]
        granularities = set(request.get("timestamp_granularities") or ())
        recording = Recording(file.path, _RATE, raw=request.get("file_format") == "pcm_s16le_16")
        try:
            heard = _Heard(self._whisper, recording, task, self._asked(request, words="word" in granularities))
            heard.listen()
        finally:
            recording.close()
        return orjson.dumps(_result(heard, form, granularities))

    def _asked(self, request: dict[str, Any], *, words: bool) -> dict[str, Any]:
        language = (request.get("language") or "").lower().partition("-")[0]
        if language and language not in self._whisper.supported_languages:
            raise refusal(
                f"{self._model} knows no language {language}; it knows {', '.join(self._whisper.supported_languages)}.",
                "language",
                "unsupported_language",
            )
        temperature = request.get("temperature")
        return {
            "language": language or None,
            "initial_prompt": request.get("prompt") or None,
            "temperature": [temperature] if temperature else _TEMPERATURES,
            "word_timestamps": words,
        }


class _Heard:
    """What was heard of a recording so far."""

    def __init__(self, whisper: WhisperModel, recording: Recording, task: Task, asked: dict[str, Any]) -> None:
        self._whisper = whisper
        self._recording = recording
        self._task = task
        self._asked = asked
        self.seconds = 0.0
        self.segments: list[dict[str, Any]] = []
        self.words: list[dict[str, Any]] = []
        self._telling = ""

    @property
    def language(self) -> str | None:
        language: str | None = self._asked["language"]
        return language

    @property
    def text(self) -> str:
        return "".join(segment["text"] for segment in self.segments).strip()

    def listen(self) -> None:
        total = self._recording.seconds
        for stretch in _stretches(self._recording.pieces()):
            self._task.go_on()
            self._hear(stretch, total)
            self.seconds += len(stretch) / _RATE

    def _hear(self, stretch: Samples, total: float | None) -> None:
        """Nothing is heard where nobody speaks: without that, the model makes up words in silence."""
        segments, info = self._whisper.transcribe(stretch, beam_size=5, vad_filter=True, **self._asked)
        if not info.duration_after_vad:
            return
        # What the first stretch is in, the others are; what was said last helps with what comes.
        self._asked["language"] = info.language
        for segment in segments:
            self._task.go_on()
            self.segments.append(
                {
                    "id": len(self.segments),
                    "seek": segment.seek + round(self.seconds * 100),
                    "start": self._at(segment.start),
                    "end": self._at(segment.end),
                    "text": segment.text,
                    "tokens": list(segment.tokens),
                    "temperature": segment.temperature,
                    "avg_logprob": segment.avg_logprob,
                    "compression_ratio": segment.compression_ratio,
                    "no_speech_prob": segment.no_speech_prob,
                }
            )
            for word in segment.words or ():
                self.words.append({"word": word.word.strip(), "start": self._at(word.start), "end": self._at(word.end)})
            self._tell(segment.end, total)
        self._asked["initial_prompt"] = self.segments[-1]["text"] if self.segments else None

    def _at(self, seconds: float) -> float:
        return round(self.seconds + float(seconds), 3)

    def _tell(self, seconds: float, total: float | None) -> None:
        done = int(self._at(seconds))
        self._task.progress(done, max(done, round(total)) if total else None, "seconds", self.segments[-1]["text"])


def _stretches(pieces: Iterator[Samples]) -> Iterator[Samples]:
    """The sound in stretches of at most `_STRETCH_SECONDS`, each cut at the quietest moment of its end."""
    held: list[Samples] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        while length > _STRETCH_SECONDS * _RATE:
            stretch = np.concatenate(held)
            cut = _quietest(stretch[: _STRETCH_SECONDS * _RATE])
            yield stretch[:cut]
            held, length = [stretch[cut:]], length - cut
    if length:
        yield np.concatenate(held)


def _quietest(stretch: Samples) -> int:
    end = stretch[-_CUT_SECONDS * _RATE :]
    loudness = np.abs(end[: len(end) // _QUIET_SAMPLES * _QUIET_SAMPLES]).reshape(-1, _QUIET_SAMPLES).mean(axis=1)
    return len(stretch) - len(end) + int(loudness.argmin()) * _QUIET_SAMPLES + _QUIET_SAMPLES // 2


def _result(heard: _Heard, form: str, granularities: set[str]) -> dict[str, Any]:
    usage = {"type": "duration", "seconds": round(heard.seconds, 3)}
    match form:
        case "srt":
            return {"text": srt(heard.segments), "usage": usage}
        case "vtt":
            return {"text": vtt(heard.segments), "usage": usage}
        case "verbose_json":
            return {
                "task": "transcribe",
                "language": heard.language,
                "duration": round(heard.seconds, 3),
                "text": heard.text,
                **({"segments": heard.segments} if "segment" in granularities or not granularities else {}),
                **({"words": heard.words} if "word" in granularities else {}),
                "usage": usage,
            }
    return {"text": heard.text, "usage": usage}

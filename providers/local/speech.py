"""Speech in a worker: hibari speaks a text, sentence by sentence, and FFmpeg's encoders write it."""

import re
import tempfile
import threading
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from hibari import Hibari

from ...engine.errors import CallFailed
from ..media_types import sound_type
from ..refusals import refusal
from ..workers.task import Task
from .audio import FORMATS, Encoder, Samples, stretched

#: The model's own voice, and OpenAI's names for theirs, which clients have in them.
VOICES = (
    *("heart", "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer"),
    "verse",
)

_MAX_CHARACTERS = 100_000
#: Longer sentences are cut between words: the model would take them in one piece.
_MAX_SENTENCE = 300
_MAX_WORD = 60
#: Longer numbers are read digit by digit.
_LONG_NUMBER = re.compile(r"\d{16,}")
#: Of a text's letters, those of other scripts, which the voice would pass over or spell.
_MAX_FOREIGN = 0.25
_PAUSE_SECONDS = 0.2


class SpeechModel:
    def __init__(self, *, model: str) -> None:
        self._model = model
        self._voice = Hibari(threads=1)
        # What turns words into sounds is loaded on its first use, and keeps what it has seen.
        self._lock = threading.Lock()
        self._voice.phonemize("Ready.")

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        name = _format(request)
        text = _text(request)
        _check_voice(request.get("voice"))
        for field in ("instructions", "with_timestamps", "pronunciation_dictionary_locators"):
            if request.get(field):
                raise refusal(f"The local voice knows nothing of {field}: leave it away.", field)
        speed = float(request.get("speed") or 1.0)
        if not 0.25 <= speed <= 4:
            raise refusal("speed is from 0.25 to 4.", "speed", "invalid_value")
        with tempfile.TemporaryFile(prefix="coatcheck-") as file:
            spoken = 0
            with Encoder(file, name, self._voice.sample_rate) as out:
                for samples in self._spoken(text, speed, task):
                    spoken += len(samples)
                    out.write(samples)
            if not spoken:
                raise _nothing_to_say()
            file.seek(0)
            audio = task.keep(sound_type(name), file)
        return orjson.dumps({"audio": audio, "usage": {"input_chars": len(text)}})

    def _spoken(self, text: str, speed: float, task: Task) -> Iterator[Samples]:
        """One piece a sentence, with a pause after each but the last."""
        own = min(max(speed, 0.5), 2.0)
        rate = self._voice.sample_rate
        pause = np.zeros(int(rate * _PAUSE_SECONDS / speed), np.float32)
        sentences = [piece for sentence in self._voice.split_sentences(text) for piece in _cut(sentence)]
        sentences = [sentence for sentence in sentences if any(map(str.isalnum, sentence))]
        any_said = False
        for number, sentence in enumerate(sentences):
            task.progress(number, len(sentences), "sentences")
            with self._lock:
                sounds = self._voice.phonemize(sentence)
            for sound in sounds:
                task.go_on()
                # The breath in the voice is noise: from the same seed, the same text is the same sound.
                samples = self._voice.from_phonemes(sound, own, seed=0)
                if not len(samples):
                    continue
                if any_said:
                    yield pause
                any_said = True
                yield samples if own == speed else stretched(samples, speed / own, rate)


def _format(request: dict[str, Any]) -> str:
    name: str = request.get("response_format") or "mp3"
    if name not in FORMATS:
        raise refusal(f"response_format is one of {', '.join(FORMATS)}.", "response_format", "invalid_value")
    return name


def _text(request: dict[str, Any]) -> str:
    language = (request.get("language_code") or "en").lower()
    if not re.match(r"en\b|eng\b", language):
        raise refusal("The local voice speaks English only.", "language_code", "unsupported_language")
    text: str = request["input"]
    if len(text) > _MAX_CHARACTERS:
        raise refusal(
            f"input has {len(text)} characters; the local voice takes {_MAX_CHARACTERS} at most.", "input", "too_long"
        )
    if not any(map(str.isalnum, text)):
        raise _nothing_to_say()
    letters = [char for char in text if char.isalpha()]
    foreign = sum(not unicodedata.name(char, "").startswith(("LATIN", "FEMININE", "MASCULINE")) for char in letters)
    if foreign > _MAX_FOREIGN * len(letters):
        raise refusal(
            "The local voice speaks English only, and input is written in other letters.",
            "input",
            "unsupported_language",
        )
    return _LONG_NUMBER.sub(lambda digits: " ".join(digits[0]), text)


def _nothing_to_say() -> CallFailed:
    return refusal("There is nothing in input that the English voice could say.", "input", "invalid_value")


def _check_voice(voice: Any) -> None:
    if isinstance(voice, list):
        if len(voice) > 1:
            raise refusal("There is one local voice: it cannot speak for several speakers.", "voice")
        voice = voice[0]["voice"] if voice else None
    if isinstance(voice, dict):
        voice = voice.get("id")
    if voice is not None and voice not in VOICES:
        raise refusal(
            f"There is one local voice, heart, which also answers to OpenAI's names: {', '.join(VOICES[1:])}.", "voice"
        )


def _cut(sentence: str) -> Iterator[str]:
    """The sentence in pieces that are short enough, cut between words where there are any."""
    piece = ""
    for word in sentence.split():
        for start in range(0, len(word), _MAX_WORD):
            part = word[start : start + _MAX_WORD]
            if piece and len(piece) + 1 + len(part) > _MAX_SENTENCE:
                yield piece
                piece = ""
            piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece

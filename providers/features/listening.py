"""Speech to text, by transcriptions: asked for with times, and with speakers where the provider tells them apart."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ...engine.calls import Call, Reply
from ...engine.errors import Unusable
from ..refusals import unsupported
from .ways import Asked

_NO_SPEAKERS = "The provider does not tell speakers apart."
_NO_TIMES = "The provider tells neither times nor speakers."


class SpeechToText:
    operations: ClassVar[tuple[str, ...]] = ("audio/transcriptions",)

    async def ask(self, call: Call, kind: str, own: Mapping[str, Any]) -> Asked:
        given = call.request["input"]
        request: dict[str, Any] = {"language": given["language"]} if "language" in given else {}
        if kind == "assemblyai":
            request |= _of_assemblyai(given)
        else:
            if given.get("profanity_filter"):
                raise unsupported("The provider masks no profanity.", "input.profanity_filter")
            request |= _of_mistral(given) if kind == "mistral" else _of_openai(given, call.model)
        return Asked(operation="audio/transcriptions", request=request, files={"file": call.files["file"]})

    def answer(self, made: Call, result: dict[str, Any], reply: Reply) -> dict[str, Any]:
        text = result.get("text")
        if not isinstance(text, str):
            raise Unusable("the provider answered without a text")
        parts = [*_parts(result.get("segments"), "text")] or [*_parts(result.get("words"), "word")]
        speakers = _Speakers()
        entries = [_entry(said, part, speakers) for said, part in parts]
        message = None if speakers.count else _NO_SPEAKERS if entries else _NO_TIMES
        return {
            "text": text,
            "diarization": {"total_speakers": speakers.count, "entries": entries, "error_message": message},
        }


def _of_assemblyai(given: dict[str, Any]) -> dict[str, Any]:
    names = {
        "speakers": "speakers_expected",
        "profanity_filter": "filter_profanity",
        "vocabulary": "keyterms_prompt",
    }
    known = {theirs: given[ours] for ours, theirs in names.items() if ours in given}
    return {"response_format": "verbose_json", "speaker_labels": True, **known}


def _of_mistral(given: dict[str, Any]) -> dict[str, Any]:
    # It takes a language or tells times, and tells speakers only with times.
    asked: dict[str, Any] = {} if "language" in given else {"timestamp_granularities": ["segment"], "diarize": True}
    # Its terms have neither spaces nor commas.
    if terms := ["_".join(term.replace(",", " ").split()) for term in given.get("vocabulary", ())]:
        asked["context_bias"] = terms
    return asked


def _of_openai(given: dict[str, Any], model: str) -> dict[str, Any]:
    if "diarize" in model:
        # It takes no prompt.
        return {"response_format": "diarized_json", "chunking_strategy": "auto"}
    vocabulary = given.get("vocabulary")
    asked: dict[str, Any] = {"prompt": ", ".join(vocabulary)} if vocabulary else {}
    # OpenAI's models of that name tell no times, and refuse to be asked for them; so do deployments named after them.
    asked["response_format"] = "json" if "transcribe" in model else "verbose_json"
    return asked


class _Speakers:
    """The speakers' numbers, from 1, in the order in which they are first heard."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def count(self) -> int:
        return len(self._numbers)

    def number(self, label: object) -> int | None:
        if isinstance(label, bool) or not isinstance(label, str | int) or label == "":
            return None
        return self._numbers.setdefault(str(label), len(self._numbers) + 1)


def _parts(listed: object, key: str) -> Iterable[tuple[str, dict[str, Any]]]:
    for part in listed if isinstance(listed, list) else ():
        if isinstance(part, dict) and isinstance(part.get(key), str):
            yield part[key].strip(), part


def _entry(said: str, part: dict[str, Any], speakers: _Speakers) -> dict[str, Any]:
    label = part.get("speaker")
    return {
        "segment": said,
        "start_time": _time(part.get("start")),
        "end_time": _time(part.get("end")),
        "speaker": speakers.number(part.get("speaker_id") if label is None else label),
        "confidence": _confidence(part),
    }


def _time(seconds: object) -> str | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return str(round(float(seconds), 3))


def _confidence(part: dict[str, Any]) -> float | None:
    told = part.get("confidence", part.get("score"))
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= 1:
        return None
    return float(told)

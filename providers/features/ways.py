"""The ways to carry out features by operations of v1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from ...engine.calls import Call, File, Reply


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a way asks of a provider."""

    operation: str
    request: dict[str, Any]
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)


class Way(Protocol):
    #: Those that it may ask for, the usual one first.
    operations: ClassVar[tuple[str, ...]]

    async def ask(self, call: Call, kind: str, own: Mapping[str, Any]) -> Asked:
        """What is to be asked of a provider of this kind for the feature's call, whose `request["input"]` is valid;
        `own` are the client's parameters for this provider, which the request is going to have too. Raises `CallFailed`
        with status 400 for what cannot be had of the provider."""

    def answer(self, made: Call, result: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """The feature's output, from the result of the call that was made; raises `Unusable` if it lacks what the
        output needs."""


#: By the feature's name, as `module.Class` in this folder; imported when it is asked for.
WAYS: Mapping[str, str] = MappingProxyType(
    {
        "text/embeddings": "text.Embeddings",
        "text/moderation": "moderation.Moderation",
        "audio/speech_to_text_async": "listening.SpeechToText",
        "audio/tts": "speech.Speech",
        "image/generation": "image.Generation",
        "ocr/ocr": "ocr.Ocr",
        "ocr/ocr_async": "ocr.OcrPages",
    }
)

_made: dict[str, Way] = {}


def way_of(feature: str) -> Way | None:
    """The way to this feature; None if it has none, or is none."""
    name = WAYS.get(feature)
    if name is None:
        return None
    if feature not in _made:
        module, _, cls = name.partition(".")
        _made[feature] = getattr(import_module(f".{module}", __package__), cls)()
    return _made[feature]

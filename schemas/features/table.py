"""The table of features: what each one is called, takes and answers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from marshmallow import ValidationError

from ...engine.errors import Unprocessable
from .. import faults
from ..fields import Shape, named
from ..operations import OPERATIONS
from .inputs import FileInput, Input

#: What tells the long features from the others in their names.
_LONG = "_async"


class Family(NamedTuple):
    fullname: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Feature:
    #: The canonical name, "feature/subfeature", which is also a job's operation.
    name: str
    fullname: str
    description: str
    #: The classes of its input and output, as `module.Class` in this folder; imported when they are asked for.
    input: str
    output: str
    #: The operations of v1 that carry it out where a provider has it not by itself; none where only such do.
    operations: tuple[str, ...] = ()
    #: Whether an output can hold files, which polls put in.
    answers_files: bool = False
    #: The kinds of providers that can carry it out.
    kinds: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        return self.name.partition("/")[0]

    @property
    def subfeature(self) -> str:
        return self.name.partition("/")[2]

    @property
    def mode(self) -> Literal["sync", "async"]:
        """How the dialect's first speaker runs it; here every feature can be run either way."""
        return "async" if self.name.endswith(_LONG) else "sync"

    @cached_property
    def input_schema(self) -> Input:
        made: Input = _made(self.input)
        return made

    @cached_property
    def output_schema(self) -> Shape:
        made: Shape = _made(self.output)
        return made

    @property
    def files(self) -> Mapping[str, FileInput]:
        """The fields of its input that are files."""
        return self.input_schema.files

    def load(self, given: object, files: Collection[str] = ()) -> dict[str, Any]:
        """The input as providers are given it: without nulls, empty texts and keys that are not known. `files` are the
        fields that hold files, which `given` is without.

        Raises `Unprocessable`, whose `param` begins with "input", for a wrong type or value anywhere, else for what is
        missing.
        """
        if not isinstance(given, dict):
            raise Unprocessable(f"expected an object, got {named(given)}", param="input")
        schema = self.input_schema
        sent = {key: value for key, value in given.items() if value is not None and key in schema.load_fields}
        check_types(schema, sent, "input")
        sent = {key: value for key, value in sent.items() if value != ""}
        for field, missing in schema.required.items():
            if field not in files and not sent.get(field):
                raise Unprocessable(missing, param=f"input.{field}")
        there = {*sent, *files}
        for field, other in schema.needs.items():
            if field in there and other not in there:
                raise Unprocessable(f"{field} needs {other}", param=f"input.{field}")
        return sent

    def check_parameters(self, parameters: Mapping[str, Any], where: str) -> None:
        """Raises `Unprocessable` for a provider's own parameter that has the name of a field of the operation that
        carries the feature out, and not its type; `where` is what holds the parameters, for its `param`."""
        for operation in self.operations:
            check_types(OPERATIONS[operation].schema, parameters, where)


def _made(name: str) -> Any:
    module, _, cls = name.partition(".")
    return getattr(import_module(f".{module}", __package__), cls)()


def check_types(schema: Shape, sent: Mapping[str, Any], where: str = "") -> None:
    """Raises `Unprocessable` for the first key whose value is wrong; `where` is the field that holds the object, empty
    for the body itself."""
    try:
        schema.check_types(sent)
    except ValidationError as error:
        path, fault = faults.first(error)
        raise Unprocessable(fault, param=f"{where}.{path}".removeprefix(".")) from None


def _table(*features: Feature) -> Mapping[str, Feature]:
    return MappingProxyType({feature.name: feature for feature in features})


#: What the first part of a feature's name stands for.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "text": Family("Text", "Reads texts."),
        "translation": Family("Translation", "Tells languages apart."),
        "audio": Family("Audio", "Speaks, and listens."),
        "image": Family("Image", "Makes images."),
        "ocr": Family("OCR", "Reads documents."),
    }
)

#: Every feature by its canonical name.
FEATURES = _table(
    Feature(
        name="text/embeddings",
        fullname="Embeddings",
        description="Turns texts into vectors.",
        input="text.EmbeddingsInput",
        output="text.EmbeddingsOutput",
        operations=("embeddings",),
        kinds=(
            *("azure", "echo", "fireworks", "gemini", "groq", "litellm", "llama.cpp", "lmstudio", "local", "mistral"),
            *("nebius", "nvidia", "ollama", "openai", "openrouter", "sglang", "together", "vllm"),
        ),
    ),
    Feature(
        name="text/language_detection",
        fullname="Language Detection",
        description="Tells in which language a text is written.",
        input="text.LanguageDetectionInput",
        output="text.LanguageDetectionOutput",
        kinds=("local",),
    ),
    Feature(
        name="text/moderation",
        fullname="Text Moderation",
        description="Tells how harmful a text is, and in which way.",
        input="text.ModerationInput",
        output="text.ModerationOutput",
        operations=("moderations",),
        kinds=("echo", "mistral", "openai"),
    ),
    Feature(
        name="translation/language_detection",
        fullname="Language Detection",
        description="Tells in which language a text is written.",
        input="text.LanguageDetectionInput",
        output="text.LanguageDetectionOutput",
        kinds=("local",),
    ),
    Feature(
        name="audio/speech_to_text_async",
        fullname="Speech to Text",
        description="Writes down what is said in a recording, and when.",
        input="audio.SpeechToTextInput",
        output="audio.SpeechToTextOutput",
        operations=("audio/transcriptions",),
        kinds=("assemblyai", "azure", "echo", "groq", "litellm", "local", "mistral", "openai", "together", "vllm"),
    ),
    Feature(
        name="audio/tts",
        fullname="Text to Speech",
        description="Says a text.",
        input="audio.SpeechInput",
        output="audio.SpeechOutput",
        operations=("audio/speech",),
        answers_files=True,
        kinds=("azure", "echo", "gemini", "groq", "litellm", "local", "mistral", "openai", "together"),
    ),
    Feature(
        name="image/generation",
        fullname="Image Generation",
        description="Makes images from words, or from words and other images.",
        input="image.GenerationInput",
        output="image.GenerationOutput",
        operations=("images/generations", "images/edits"),
        answers_files=True,
        kinds=("azure", "echo", "gemini", "litellm", "local", "nebius", "openai", "replicate", "together", "xai"),
    ),
    Feature(
        name="ocr/ocr",
        fullname="OCR",
        description="Reads a picture or a document.",
        input="ocr.OcrInput",
        output="ocr.OcrOutput",
        operations=("ocr",),
        kinds=("echo", "litellm", "local", "mistral"),
    ),
    Feature(
        name="ocr/ocr_async",
        fullname="OCR, page by page",
        description="Reads a document and tells the lines of its pages.",
        input="ocr.DocumentInput",
        output="ocr.OcrPagesOutput",
        operations=("ocr",),
        kinds=("echo", "litellm", "local", "mistral"),
    ),
)


def find(feature: str, subfeature: str) -> Feature | None:
    """The feature of this name. With or without `_async` at its end is the same, unless both are there."""
    name = f"{feature}/{subfeature}"
    other = name.removesuffix(_LONG) if name.endswith(_LONG) else name + _LONG
    return FEATURES.get(name) or FEATURES.get(other)

"""The table of operations: what each one is called, takes and refuses."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError

from ..engine.errors import InvalidRequest
from . import faults
from .fields import named
from .forms import body_of
from .requests import FormRequest, Request, Upload

#: Every provider that a job may run at is kept in its row.
MAX_FALLBACKS = 16
MAX_MODEL_NAME = 256


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A request that is valid for its operation."""

    #: As the client sent it; empty where the operation lets it be left out, and it was.
    model: str
    #: The models to try after it, each as "provider/model".
    fallbacks: tuple[str, ...]
    #: What the provider is given, `model` included; nested values are those of the client's body, not copies.
    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    #: The canonical name, which is also the path under `/v1/async/`.
    name: str
    #: What Bifrost calls it in `extra_fields.request_type`.
    request_type: str
    #: What it makes, in the plural, for a sentence.
    noun: str
    #: The class of its requests, as `module.Class` in this folder; imported when it is asked for.
    request: str
    summary: str
    description: str
    #: Whether a result can hold files, which polls put in.
    answers_files: bool = False

    @cached_property
    def schema(self) -> Request:
        module, _, name = self.request.partition(".")
        made: Request = getattr(import_module(f".{module}", __package__), name)()
        return made

    @property
    def files(self) -> Mapping[str, Upload]:
        """The fields of its form that are files; none where the request is JSON."""
        return self.schema.files

    @property
    def required(self) -> Mapping[str, str]:
        """The fields a client must give, in the order they are asked for, each with the refusal when it is missing."""
        return self.schema.required

    @property
    def stream_message(self) -> str | None:
        """The refusal of a stream; None if the operation does not know streams."""
        return f"stream is not supported for async {self.noun}" if self.schema.streams else None

    def load(self, body: object) -> Loaded:
        """The request in `body`, parsed JSON, which is left as it is.

        Raises `InvalidRequest` for a wrong type or value anywhere, else for what is missing, else for a stream.
        """
        if not isinstance(body, dict):
            raise InvalidRequest(f"invalid request format: expected a JSON object, got {named(body)}")
        return self._load(body, ())

    def load_form(self, texts: Iterable[tuple[str, str]], files: Collection[str]) -> Loaded:
        """The request of a form with these text fields; `files` are the fields that hold files. Raises like `load`."""
        if not isinstance(self.schema, FormRequest):
            raise TypeError(f"{self.name} takes no form")
        return self._load(body_of(self.schema, texts), files)

    def _load(self, body: Mapping[str, Any], files: Collection[str]) -> Loaded:
        known = self.schema.fields
        sent = {key: value for key, value in body.items() if value is not None or key not in known}
        try:
            self.schema.check_types(sent)
            self.schema.normalise(sent)
        except ValidationError as error:
            raise _refusal(error) from None
        for field, message in self.required.items():
            value = field in files or sent.get(field)
            if not value or (field in self.schema.solid and not str(value).strip()):
                raise InvalidRequest(message, param=field)
        self.schema.demand(sent)
        # An upstream refuses `stream_options` without `stream`, and a job is never streamed.
        sent.pop("stream_options", None)
        streamed = self.schema.streamed(sent)
        if streamed and self.stream_message:
            raise InvalidRequest(self.stream_message, param=streamed)
        model = sent.get("model", "")
        if not model.strip():
            sent.pop("model", None)
            model = ""
        fallbacks = tuple(_model_name(entry) for entry in sent.pop("fallbacks", ()))
        if len(fallbacks) > MAX_FALLBACKS:
            raise InvalidRequest(f"at most {MAX_FALLBACKS} fallbacks, got {len(fallbacks)}", param="fallbacks")
        if any(len(name) > MAX_MODEL_NAME for name in (model, *fallbacks)):
            raise InvalidRequest(f"a model's name has at most {MAX_MODEL_NAME} characters", param="model")
        return Loaded(model=model, fallbacks=fallbacks, body=sent)


def _model_name(fallback: str | dict[str, Any]) -> str:
    if isinstance(fallback, str):
        return fallback
    return f"{fallback['provider']}/{fallback['model']}"


def _refusal(error: ValidationError) -> InvalidRequest:
    path, fault = faults.first(error)
    whole = fault if isinstance(fault, faults.Verbatim) else f"invalid request format: {path}: {fault}"
    return InvalidRequest(whole, param=path)


def _table(*operations: Operation) -> Mapping[str, Operation]:
    return MappingProxyType({operation.name: operation for operation in operations})


#: Every operation by its canonical name.
OPERATIONS = _table(
    Operation(
        name="completions",
        request_type="text_completion",
        noun="text completions",
        request="completions.TextCompletionRequest",
        summary="Continue a text",
        description="Takes a prompt, or several, and answers with the text that follows.",
    ),
    Operation(
        name="chat/completions",
        request_type="chat_completion",
        noun="chat completions",
        request="chat.ChatCompletionRequest",
        summary="Answer a conversation",
        description="Takes a list of messages and answers with the next one, or with the tools it wants called.",
    ),
    Operation(
        name="responses",
        request_type="responses",
        noun="responses",
        request="responses.ResponsesRequest",
        summary="Answer an input",
        description="Takes a text or a list of items, in the shape of OpenAI's Responses, and answers with items.",
    ),
    Operation(
        name="embeddings",
        request_type="embedding",
        noun="embeddings",
        request="embeddings.EmbeddingRequest",
        summary="Turn texts into vectors",
        description="Takes one input or a list of them and answers with a vector for each.",
    ),
    Operation(
        name="audio/speech",
        request_type="speech",
        noun="speech",
        request="speech.SpeechRequest",
        summary="Say a text",
        description="Takes a text and a voice and answers with audio.",
        answers_files=True,
    ),
    Operation(
        name="audio/transcriptions",
        request_type="transcription",
        noun="transcriptions",
        request="transcriptions.TranscriptionRequest",
        summary="Write down a recording",
        description="Takes a recording and answers with what is said in it.",
    ),
    Operation(
        name="images/generations",
        request_type="image_generation",
        noun="image generations",
        request="images.ImageGenerationRequest",
        summary="Make an image",
        description="Takes words and answers with images, or with where they can be had.",
        answers_files=True,
    ),
    Operation(
        name="images/edits",
        request_type="image_edit",
        noun="image edits",
        request="images.ImageEditRequest",
        summary="Edit an image",
        description="Takes images and words and answers with images, or with where they can be had.",
        answers_files=True,
    ),
    Operation(
        name="images/variations",
        request_type="image_variation",
        noun="image variations",
        request="images.ImageVariationRequest",
        summary="Vary an image",
        description="Takes an image and answers with others like it, or with where they can be had.",
        answers_files=True,
    ),
    Operation(
        name="rerank",
        request_type="rerank",
        noun="reranks",
        request="rerank.RerankRequest",
        summary="Put documents in order",
        description="Takes a query and documents and answers with how well each of them fits, best first.",
    ),
    Operation(
        name="ocr",
        request_type="ocr",
        noun="ocr",
        request="ocr.OcrRequest",
        summary="Read a document",
        description="Takes an image or a document and answers with the text of its pages.",
    ),
    Operation(
        name="moderations",
        request_type="moderation",
        noun="moderations",
        request="moderations.ModerationRequest",
        summary="Judge whether an input is harmful",
        description="Takes texts, or a text with images, and answers which kinds of harm each has, and how surely.",
    ),
)

"""The table of operations: what each one is called, takes and refuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError

from ..engine.errors import InvalidRequest
from .chat import ChatCompletionRequest
from .completions import TextCompletionRequest
from .embeddings import EmbeddingRequest
from .fields import Request, named
from .responses import ResponsesRequest

#: Every provider that a job may run at is kept in its row.
MAX_FALLBACKS = 16
MAX_MODEL_NAME = 256

#: A client's keys can be of any length; an answer need not be.
_LONGEST_KEY = 40


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A request that is valid for its operation."""

    #: As the client sent it.
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
    schema: Request
    summary: str
    description: str

    @property
    def required(self) -> Mapping[str, str]:
        """The fields a client must give, in the order they are asked for, each with the refusal when it is missing."""
        return self.schema.required

    @property
    def stream_message(self) -> str | None:
        """The refusal of a stream; None if the operation does not know streams."""
        return f"stream is not supported for async {self.noun}" if "stream" in self.schema.fields else None

    def load(self, body: object) -> Loaded:
        """The request in `body`, parsed JSON, which is left as it is.

        Raises `InvalidRequest` for a wrong type anywhere, else for what is missing, else for a stream.
        """
        if not isinstance(body, dict):
            raise InvalidRequest(f"invalid request format: expected a JSON object, got {named(body)}")
        known = self.schema.fields
        sent = {key: value for key, value in body.items() if value is not None or key not in known}
        try:
            self.schema.check_types(sent)
            self.schema.normalise(sent)
        except ValidationError as error:
            raise _refusal(error) from None
        for field, message in self.required.items():
            if not sent.get(field) or (field == "model" and not sent[field].strip()):
                raise InvalidRequest(message, param=field)
        # An upstream refuses `stream_options` without `stream`, and a job is never streamed.
        sent.pop("stream_options", None)
        if sent.pop("stream", False) and self.stream_message:
            raise InvalidRequest(self.stream_message, param="stream")
        fallbacks = tuple(_model_name(entry) for entry in sent.pop("fallbacks", ()))
        if len(fallbacks) > MAX_FALLBACKS:
            raise InvalidRequest(f"at most {MAX_FALLBACKS} fallbacks, got {len(fallbacks)}", param="fallbacks")
        if any(len(name) > MAX_MODEL_NAME for name in (sent["model"], *fallbacks)):
            raise InvalidRequest(f"a model's name has at most {MAX_MODEL_NAME} characters", param="model")
        return Loaded(model=sent["model"], fallbacks=fallbacks, body=sent)


def _model_name(fallback: str | dict[str, Any]) -> str:
    if isinstance(fallback, str):
        return fallback
    return f"{fallback['provider']}/{fallback['model']}"


def _refusal(error: ValidationError) -> InvalidRequest:
    """The refusal that names the first fault and where it is, as `messages[1].content`."""
    path, found = "", error.messages
    while isinstance(found, dict):
        key, found = next(iter(found.items()))
        path += f"[{key}]" if isinstance(key, int) else f".{key[:_LONGEST_KEY]}"
    path = path.removeprefix(".")
    return InvalidRequest(f"invalid request format: {path}: {found[0]}", param=path)


def _table(*operations: Operation) -> Mapping[str, Operation]:
    return MappingProxyType({operation.name: operation for operation in operations})


#: Every operation by its canonical name.
OPERATIONS = _table(
    Operation(
        name="completions",
        request_type="text_completion",
        noun="text completions",
        schema=TextCompletionRequest(),
        summary="Continue a text",
        description="Takes a prompt, or several, and answers with the text that follows.",
    ),
    Operation(
        name="chat/completions",
        request_type="chat_completion",
        noun="chat completions",
        schema=ChatCompletionRequest(),
        summary="Answer a conversation",
        description="Takes a list of messages and answers with the next one, or with the tools it wants called.",
    ),
    Operation(
        name="responses",
        request_type="responses",
        noun="responses",
        schema=ResponsesRequest(),
        summary="Answer an input",
        description="Takes a text or a list of items, in the shape of OpenAI's Responses, and answers with items.",
    ),
    Operation(
        name="embeddings",
        request_type="embedding",
        noun="embeddings",
        schema=EmbeddingRequest(),
        summary="Turn texts into vectors",
        description="Takes one input or a list of them and answers with a vector for each.",
    ),
)

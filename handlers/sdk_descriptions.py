"""The vendors' own routes in words, as `descriptions` has the others."""

from ..engine.errors import (
    BodyTooLarge,
    InvalidRequest,
    JobNotFound,
    KeyReused,
    Overloaded,
    RateLimited,
    StoreUnavailable,
    Unavailable,
    UnknownModel,
    UnsupportedEncoding,
)
from ..schemas import parameters, vendor_answers
from ..schemas.operations import Operation
from .dialects import ANTHROPIC, Dialect
from .vocabulary import (
    Part,
    described,
    docs,
    form_schema,
    headers_schema,
    json_schema,
    match_info_schema,
    outcomes,
    querystring_schema,
    refusals,
    response_schema,
)

_ABOUT = (
    "The answer is the result; a failure has its status. With `x-bf-async` the answer comes at once and stands for the "
    "result, and its `id` collects it with `x-bf-async-id`."
)
_ANSWERED = (
    "x-bf-job-id",
    "Retry-After",
    "Idempotency-Replayed",
    "RateLimit",
    "RateLimit-Policy",
)
_AUDIO = ("audio/*", "application/octet-stream")


def _word(path: str) -> str:
    """The path as a part of identifiers: /openai/v1/chat/completions is OpenaiChatCompletions."""
    return "".join(part.capitalize() for part in path.split("/") if part not in ("", "v1"))


def ask(operation: Operation, dialect: Dialect, path: str) -> Part:
    result = vendor_answers.Message if dialect is ANTHROPIC else vendor_answers.VendorResult
    speaks, writes = operation.name == "audio/speech", operation.name == "audio/transcriptions"
    return described(
        docs(tags=["vendors"], operationId=f"ask{_word(path)}", summary=operation.summary, description=_ABOUT),
        form_schema(operation.schema) if operation.files else json_schema(operation.schema),
        headers_schema(parameters.AskHeaders),
        response_schema(
            result,
            200,
            "The result, or what stands for it.",
            headers=(*_ANSWERED, *dialect.headers),
            files=_AUDIO if speaks else (),
            text={"text/plain": "What was said."} if writes else None,
        ),
        outcomes,
        refusals(InvalidRequest, BodyTooLarge, UnsupportedEncoding, UnknownModel, JobNotFound),
        refusals(KeyReused, RateLimited, Overloaded, Unavailable, StoreUnavailable),
    )


def list_models(path: str) -> Part:
    return described(
        docs(
            tags=["vendors"],
            operationId=f"list{_word(path)}",
            summary="List models",
            description="Those of all providers, as each of them says; asked every five minutes.",
        ),
        response_schema(vendor_answers.Models, 200, "All of them."),
    )


def get_model(path: str) -> Part:
    return described(
        docs(tags=["vendors"], operationId=f"get{_word(path)}", summary="Show a model"),
        match_info_schema(parameters.ModelPath),
        response_schema(vendor_answers.Model, 200, "It."),
        refusals(UnknownModel),
    )


list_anthropic_models = described(
    docs(
        tags=["vendors"],
        operationId="listAnthropicModels",
        summary="List models in Anthropic's shape",
        description="Those that take messages.",
    ),
    querystring_schema(parameters.AnthropicModelsQuery),
    response_schema(vendor_answers.AnthropicModels, 200, "A page."),
    refusals(InvalidRequest),
)

get_anthropic_model = described(
    docs(tags=["vendors"], operationId="getAnthropicModel", summary="Show a model in Anthropic's shape"),
    match_info_schema(parameters.ModelPath),
    response_schema(vendor_answers.AnthropicModel, 200, "It."),
    refusals(UnknownModel),
)

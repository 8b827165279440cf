"""What the vendors' routes answer, for the document: results, models and errors."""

from typing import ClassVar

from .answers import Answer, Anything, moment
from .fields import Examples, Flag, Integer, ListOf, Object, Text

_MODEL = {
    "id": "local/qwen2.5-coder-0.5b-instruct",
    "object": "model",
    "created": 0,
    "owned_by": "local",
    "operations": ["chat/completions", "completions", "responses"],
    "aliases": ["qwen2.5-coder-0.5b-instruct"],
}
_ANTHROPIC_MODEL = {
    "type": "model",
    "id": "local/qwen2.5-coder-0.5b-instruct",
    "display_name": "qwen2.5-coder-0.5b-instruct",
    "created_at": "1970-01-01T00:00:00Z",
    "lifecycle": "active",
}


class VendorResult(Answer):
    """The provider's answer, in the shape of OpenAI's API; while there is none, what has the same shape and says so."""

    id = Text("The provider's; the job's while there is no answer.")
    status = Text("`pending` or `processing` while there is no answer.")

    examples: ClassVar[Examples] = {
        "Completed": {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1795251600,
            "model": "echo",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris."}}],
        },
        "Pending": {
            "id": "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de",
            "object": "chat.completion",
            "created": 1795251600,
            "model": "echo/echo",
            "choices": [],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            "status": "pending",
        },
    }


class MessageAnswerBlock(Answer):
    type = Text("`text`, `thinking`, `redacted_thinking`, `tool_use`.", required=True)
    text = Text()
    thinking = Text()
    signature = Text()
    data = Text()
    id = Text()
    name = Text()
    input = Object(about="The arguments of a call.")


class MessageUsage(Answer):
    input_tokens = Integer("Those that are in no cache.", required=True)
    output_tokens = Integer(required=True)
    cache_read_input_tokens = Integer()
    cache_creation_input_tokens = Integer()


class Message(Answer):
    """A message in the shape of Anthropic's API."""

    id = Text("The provider's; the job's while there is none.", required=True)
    type = Text(required=True, enum=("message",))
    role = Text(required=True, enum=("assistant",))
    model = Text(required=True)
    content = ListOf(Object(MessageAnswerBlock), required=True)
    usage = Object(MessageUsage, required=True)
    status = Text("Where the job stands while there is no message: `pending` or `processing`.")

    examples: ClassVar[Examples] = {
        "Completed": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "echo",
            "content": [{"type": "text", "text": "Paris."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 2},
        },
        "Pending": {
            "id": "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de",
            "type": "message",
            "role": "assistant",
            "model": "echo/echo",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
            "status": "pending",
        },
    }


class Model(Answer):
    id = Text("As requests name it: `provider/model`.", required=True)
    object = Text(required=True, enum=("model",))
    created = Integer("Seconds since 1970; 0 where it is not known.", required=True)
    owned_by = Text("The provider.", required=True)
    operations = ListOf(Text(), about="What it can be asked for.", required=True)
    aliases = ListOf(Text(), about="Other names that requests may give it.", required=True)
    about = Text("What it is.")
    license = Text("The SPDX identifier of its weights' licence.")

    examples: ClassVar[Examples] = {"A model": _MODEL}


class Models(Answer):
    object = Text(required=True, enum=("list",))
    data = ListOf(Object(Model), required=True)

    examples: ClassVar[Examples] = {"One": {"object": "list", "data": [_MODEL]}}


class AnthropicModel(Answer):
    type = Text(required=True, enum=("model",))
    id = Text("As requests name it: `provider/model`.", required=True)
    display_name = Text(required=True)
    created_at = moment("1970 where it is not known.", required=True)
    lifecycle = Text(required=True, enum=("active",))

    examples: ClassVar[Examples] = {"A model": _ANTHROPIC_MODEL}


class AnthropicModels(Answer):
    data = ListOf(Object(AnthropicModel), required=True)
    has_more = Flag(required=True)
    first_id = Text("Absent from an empty page.")
    last_id = Text("Absent from an empty page.")

    examples: ClassVar[Examples] = {
        "One": {
            "data": [_ANTHROPIC_MODEL],
            "has_more": False,
            "first_id": _ANTHROPIC_MODEL["id"],
            "last_id": _ANTHROPIC_MODEL["id"],
        }
    }


class OpenAIErrorDetails(Answer):
    message = Text("For people: what is wrong.", required=True)
    type = Text("For programs: what kind of error it is.", required=True)
    param = Anything("The field at fault; null where there is none.")
    code = Anything("For programs: what exactly it is; null where there is no word.")


class OpenAIError(Answer):
    """An error in the shape of OpenAI's API."""

    error = Object(OpenAIErrorDetails, required=True)

    examples: ClassVar[Examples] = {}


class AnthropicErrorDetails(Answer):
    type = Text("For programs: what kind of error it is.", required=True)
    message = Text("For people: what is wrong.", required=True)


class AnthropicError(Answer):
    """An error in the shape of Anthropic's API."""

    type = Text(required=True, enum=("error",))
    error = Object(AnthropicErrorDetails, required=True)
    request_id = Text("The request's own id, or one made up.")

    examples: ClassVar[Examples] = {}

"""Operations as OpenAI's own clients ask for them, and what they are answered while there is no result."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .operations import OPERATIONS, Operation

Json = dict[str, Any]

_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

#: What of each operation's result a client's own types cannot do without.
_EMPTY: Mapping[str, Json] = {
    "chat/completions": {"object": "chat.completion", "choices": [], "usage": _USAGE},
    "completions": {"object": "text_completion", "choices": [], "usage": _USAGE},
    "responses": {
        "object": "response",
        "output": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    },
    "embeddings": {"object": "list", "data": [], "usage": {"prompt_tokens": 0, "total_tokens": 0}},
    "audio/speech": {"object": "audio.speech"},
    "audio/transcriptions": {"text": ""},
    "images/generations": {"data": []},
    "images/edits": {"data": []},
    "images/variations": {"data": []},
    "rerank": {"results": []},
    "ocr": {"pages": []},
    "moderations": {"results": []},
}
_MOMENTS = {"responses": "created_at"}

#: Texts are answered as they are.
TEXT_FORMATS = frozenset({"text", "srt", "vtt"})


@dataclass(frozen=True, kw_only=True)
class Direct(Operation):
    """An operation on a route where the answer is the result."""

    @property
    def stream_message(self) -> str | None:
        if super().stream_message is None:
            return None
        return (
            "streams are not offered here: leave the stream out, or submit the same to "
            f"/v1/async/{self.name} and watch /v1/async/jobs/ID/events"
        )


#: The operations of the table by their names.
DIRECT: Mapping[str, Direct] = {
    name: Direct(**{field.name: getattr(operation, field.name) for field in fields(Operation)})
    for name, operation in OPERATIONS.items()
}


def waiting(operation: str, id: str, model: str, created: int, status: str) -> Json:
    """The result of a job that has not ended; `created` is in seconds."""
    return {
        "id": id,
        _MOMENTS.get(operation, "created"): created,
        "model": model,
        **_EMPTY[operation],
        "status": status,
    }

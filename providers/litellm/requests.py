"""Our requests as calls of LiteLLM's functions: an allow-list of fields an operation, and nothing that leads elsewhere.

The library takes addresses, keys, headers, proxies and callbacks among the fields of a request; none of these is for a
client to say, and what is not listed here is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...engine.calls import Call
from ..data_urls import data_url
from ..refusals import unreadable, unsupported

_SAMPLING = ("temperature", "top_p", "n", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "user")
_IMAGES = (
    *("prompt", "n", "size", "quality", "response_format", "user", "background", "output_format", "output_compression"),
)

#: What a request may say, by operation, under the library's names, which are OpenAI's.
FIELDS: Mapping[str, frozenset[str]] = {
    "chat/completions": frozenset(
        {
            *_SAMPLING,
            *("messages", "max_tokens", "max_completion_tokens", "modalities", "prediction", "audio"),
            *("response_format", "tools", "tool_choice", "parallel_tool_calls", "logprobs", "top_logprobs"),
            *("reasoning_effort", "thinking", "verbosity", "web_search_options", "service_tier", "top_k"),
            *("safety_identifier", "prompt_cache_key"),
        }
    ),
    "completions": frozenset({*_SAMPLING, "prompt", "max_tokens", "best_of", "echo", "logprobs", "suffix"}),
    "embeddings": frozenset({"input", "dimensions", "encoding_format", "user", "input_type", "task_type"}),
    "audio/speech": frozenset({"input", "voice", "response_format", "speed", "instructions"}),
    "audio/transcriptions": frozenset(
        {"language", "prompt", "response_format", "temperature", "timestamp_granularities", "include", "user"}
    ),
    "images/generations": frozenset({*_IMAGES, "style", "moderation", "seed", "negative_prompt"}),
    "images/edits": frozenset({*_IMAGES, "input_fidelity"}),
    "rerank": frozenset({"query", "documents", "top_n", "return_documents", "max_tokens_per_doc"}),
    "ocr": frozenset(
        {
            *("document", "pages", "include_image_base64", "image_limit", "image_min_size", "table_format"),
            *("extract_header", "extract_footer", "bbox_annotation_format", "document_annotation_format"),
            *("document_annotation_prompt", "confidence_scores_granularity", "include_blocks"),
        }
    ),
}
#: Responses are asked for as chats: not all that the library needs for its own is among what it installs.
OPERATIONS = ("chat/completions", "completions", "responses", *[name for name in FIELDS if "completions" not in name])

#: Fields without a bearing on the answer, which are left out.
_LABELS = frozenset(
    {
        *("model", "fallbacks", "stream", "stream_options", "metadata", "store", "file_format"),
        *("cache_control", "context_management", "diagnostics"),
    }
)
#: Of a message, what other providers here have said or are told, and the library has no word for.
_OTHERS = frozenset({"citations", "content_blocks", "content_parts", "images", "is_error", "reasoning_details"})
#: Vendors whose newer models know only the newer name of the limit; all others know the older one.
_NEWER_LIMIT = frozenset({"openai", "azure"})
#: Content that the library would fetch, or object that holds its address as `url`.
_FETCHED = frozenset({"image_url", "document_url", "file_url", "video_url", "audio_url", "source"})
#: Content that the library takes for an address if it looks like one.
_NAMED = frozenset({"file_id", "file_data"})


def arguments(call: Call, vendor: str) -> dict[str, Any]:
    """What the library's function is called with, but for files and what the operator says.

    Raises `CallFailed` with status 400 for fields that are not known, for content by address, and for tools that the
    library would carry out itself.
    """
    fields = FIELDS[call.operation]
    asked = {name: value for name, value in call.request.items() if name not in _LABELS and value is not None}
    if call.operation == "chat/completions":
        asked = _chat(asked, vendor, signed="claude" in call.model)
    for name in asked:
        if name not in fields:
            raise unsupported(f"Providers of kind litellm have no field {name!r} for {call.operation}.", name)
    for tool in asked.get("tools") or ():
        if not isinstance(tool, dict) or tool.get("type") not in ("function", "custom"):
            raise unsupported("Providers of kind litellm take tools of types function and custom alone.", "tools")
    for name in ("messages", "input", "document"):
        if not _is_within(asked.get(name)):
            raise unreadable("Providers of kind litellm take content as data: URLs alone, not by address.", name)
    if call.operation == "ocr" and asked["document"].get("type") not in ("document_url", "image_url"):
        raise unsupported("The document is a document_url or an image_url.", "document")
    if call.operation == "audio/speech" and not isinstance(asked["voice"], str):
        raise unsupported("Providers of kind litellm speak with one voice.", "voice")
    if call.operation == "rerank":
        # Whether documents come back is settled here: what came is known.
        asked.pop("return_documents", None)
        asked["documents"] = [_text(document) for document in asked["documents"]]
    return asked


def documents(call: Call) -> list[dict[str, Any]] | None:
    """The documents of a ranking, if they are to be part of the answer."""
    if not call.request.get("return_documents"):
        return None
    return [document if isinstance(document, dict) else {"text": document} for document in call.request["documents"]]


def _chat(asked: dict[str, Any], vendor: str, *, signed: bool) -> dict[str, Any]:
    """`signed`: whether the model wants its thoughts back, signed."""
    asked = {**asked, "messages": [_message(message, signed) for message in asked["messages"]]}
    reasoning = asked.pop("reasoning", None) or {}
    if reasoning.get("effort") is not None:
        asked["reasoning_effort"] = reasoning["effort"]
    if reasoning.get("max_tokens") is not None:
        asked["thinking"] = {"type": "enabled", "budget_tokens": reasoning["max_tokens"]}
    if vendor not in _NEWER_LIMIT and "max_completion_tokens" in asked:
        asked["max_tokens"] = asked.pop("max_completion_tokens")
    return asked


def _message(message: dict[str, Any], signed: bool) -> dict[str, Any]:
    found = {name: value for name, value in message.items() if name not in _OTHERS}
    if signed and (blocks := list(_thoughts(message.get("reasoning_details") or ()))):
        found["thinking_blocks"] = blocks
    return found


def _thoughts(details: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """As the library knows them; another vendor's would be refused."""
    for detail in details:
        if not (detail.get("format") or "anthropic").startswith("anthropic"):
            continue
        if detail.get("type") == "reasoning.text" and detail.get("signature"):
            yield {"type": "thinking", "thinking": detail.get("text") or "", "signature": detail["signature"]}
        elif detail.get("type") == "reasoning.encrypted" and detail.get("data"):
            yield {"type": "redacted_thinking", "data": detail["data"]}


def _is_within(value: object) -> bool:
    """Whether content has all that it consists of within the request."""
    if isinstance(value, list):
        return all(map(_is_within, value))
    if not isinstance(value, dict):
        return True
    for name, inner in value.items():
        address = inner.get("url", "data:,") if name in _FETCHED and isinstance(inner, dict) else inner
        if not isinstance(address, str):
            continue
        if data_url(address) is None and (name in _FETCHED or (name in _NAMED and "://" in address)):
            return False
    return all(map(_is_within, value.values()))


def _text(document: object) -> object:
    return document.get("text", "") if isinstance(document, dict) else document

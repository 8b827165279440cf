"""A chat request as Anthropic's Messages API takes it (https://platform.claude.com/docs/en/api/messages)."""

from typing import Any

from ..refusals import unsupported
from .messages import conversation
from .thinking import thinking
from .tools import tool_choice, tools

#: Anthropic's own fields, which a client may give as they are. What else it gives is not passed on.
_NATIVE = (
    *("top_p", "top_k", "cache_control", "container", "context_management", "inference_geo", "mcp_servers", "speed"),
    *("thinking", "output_config"),
)
_UNSUPPORTED = {
    "logprobs": "Claude does not tell the probabilities of tokens.",
    "top_logprobs": "Claude does not tell the probabilities of tokens.",
    "logit_bias": "Claude's tokens cannot be weighted.",
    "audio": "Claude does not speak.",
    "functions": "Claude takes functions as tools.",
    "function_call": "Claude takes functions as tools.",
}
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def messages_request(request: dict[str, Any], model: str, max_tokens: int) -> dict[str, Any]:
    """`max_tokens` is for a client that sets no limit: Anthropic requires one.

    Raises `CallFailed` with status 400 for what Claude cannot do and an answer would lack.
    """
    _check(request)
    said = (request.get("max_completion_tokens"), request.get("max_tokens"))
    # None at all is a limit too: it fills the cache.
    limit = next((limit for limit in said if limit is not None), max_tokens)
    system, turns = conversation(request["messages"])
    body: dict[str, Any] = {"model": model, "max_tokens": limit, "messages": turns}
    if system:
        body["system"] = system
    if (temperature := request.get("temperature")) is not None:
        # Anthropic's scale ends where OpenAI's has its middle; its own OpenAI endpoint caps like this.
        body["temperature"] = min(temperature, 1)
    if stop := request.get("stop"):
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if offered := tools(request):
        body["tools"] = offered
        if (choice := tool_choice(request)) is not None:
            body["tool_choice"] = choice
    if user := _user(request):
        body["metadata"] = {"user_id": user}
    if tier := _TIERS.get(request.get("service_tier") or ""):
        body["service_tier"] = tier
    body |= {key: request[key] for key in _NATIVE if request.get(key) is not None}
    _add_output(body, request)
    return body


def _check(request: dict[str, Any]) -> None:
    if (request.get("n") or 1) != 1:
        raise unsupported("Claude gives one answer to a call.", "n")
    for field, reason in _UNSUPPORTED.items():
        if request.get(field):
            raise unsupported(reason, field)
    if set(request.get("modalities") or ()) - {"text"}:
        raise unsupported("Claude answers with text alone.", "modalities")


def _user(request: dict[str, Any]) -> str | None:
    metadata = request.get("metadata") or {}
    return metadata.get("user_id") or request.get("safety_identifier") or request.get("user")


def _add_output(body: dict[str, Any], request: dict[str, Any]) -> None:
    """Thinking, effort and the form of the answer; what the client said in Anthropic's own words wins."""
    config = dict(body.pop("output_config", None) or {})
    asked, effort = thinking(request.get("reasoning") or {}, body["model"], body["max_tokens"])
    if asked is not None:
        body.setdefault("thinking", asked)
    if effort is not None:
        config.setdefault("effort", effort)
    if (form := _format(request.get("response_format"))) is not None:
        config.setdefault("format", form)
    if request.get("task_budget") is not None:
        config.setdefault("task_budget", request["task_budget"])
    if config:
        body["output_config"] = config


def _format(wanted: dict[str, Any] | None) -> dict[str, Any] | None:
    kind = (wanted or {}).get("type") or "text"
    if kind == "text":
        return None
    schema = ((wanted or {}).get("json_schema") or {}).get("schema")
    if kind != "json_schema" or not isinstance(schema, dict):
        raise unsupported("Claude makes JSON by a schema: give response_format.json_schema.schema.", "response_format")
    return {"type": "json_schema", "schema": schema}

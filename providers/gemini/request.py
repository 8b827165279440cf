"""A chat request as Gemini's generateContent takes it (https://ai.google.dev/api/generate-content)."""

from typing import Any

from ..refusals import unsupported
from .contents import contents
from .models import least_budget, least_level, thinks_in_levels
from .tools import tool_config, tools

#: Chat's and Gemini's own words for the same, in generationConfig.
_CONFIG = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "seed": "seed",
    "media_resolution": "mediaResolution",
    "image_config": "imageConfig",
    "thinking_config": "thinkingConfig",
}
#: Gemini's own fields, which a client may give. What else it gives is not passed on.
_NATIVE = {"safety_settings": "safetySettings", "cached_content": "cachedContent", "labels": "labels"}
_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_UNSUPPORTED = {
    "logit_bias": "Gemini's tokens cannot be weighted.",
    "audio": "Speech is had by the operation audio/speech.",
    "functions": "Gemini takes functions as tools.",
    "function_call": "Gemini takes functions as tools.",
}
_MODALITIES = frozenset({"text", "image"})
#: Efforts above the highest level are that level.
_LEVELS = {"xhigh": "HIGH", "max": "HIGH"}
#: For the models that think in budgets, as Google's own OpenAI endpoint has them.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576, "max": 24_576}


def content_request(request: dict[str, Any], model: str) -> dict[str, Any]:
    """Raises `CallFailed` with status 400 for what Gemini cannot do and an answer would lack."""
    _check(request)
    system, turns = contents(request["messages"], signed=thinks_in_levels(model))
    body: dict[str, Any] = {"contents": turns}
    if system:
        body["systemInstruction"] = {"parts": system}
    if offered := tools(request):
        body["tools"] = offered
        if (config := tool_config(request)) is not None:
            body["toolConfig"] = config
    if generation := _generation(request, model):
        body["generationConfig"] = generation
    body |= {theirs: request[ours] for ours, theirs in _NATIVE.items() if request.get(ours) is not None}
    if tier := _TIERS.get(request.get("service_tier") or ""):
        body["serviceTier"] = tier
    return body


def _check(request: dict[str, Any]) -> None:
    for field, reason in _UNSUPPORTED.items():
        if request.get(field):
            raise unsupported(reason, field)
    if set(request.get("modalities") or ()) - _MODALITIES:
        raise unsupported("Gemini answers a chat with text and images.", "modalities")
    if request.get("tools") and request.get("parallel_tool_calls") is False:
        raise unsupported("Gemini cannot be kept from making several calls at once.", "parallel_tool_calls")


def _generation(request: dict[str, Any], model: str) -> dict[str, Any]:
    made = {theirs: request[ours] for ours, theirs in _CONFIG.items() if request.get(ours) is not None}
    if limit := request.get("max_completion_tokens") or request.get("max_tokens"):
        made["maxOutputTokens"] = limit
    if stop := request.get("stop"):
        made["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if request.get("logprobs"):
        made["responseLogprobs"] = True
        if request.get("top_logprobs"):
            made["logprobs"] = request["top_logprobs"]
    if "image" in (request.get("modalities") or ()):
        made["responseModalities"] = [modality.upper() for modality in request["modalities"]]
    made |= _format(request.get("response_format") or {})
    if (thinking := _thinking(request.get("reasoning") or {}, model)) is not None:
        made.setdefault("thinkingConfig", thinking)
    return made


def _format(wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted.get("type") == "json_object":
        return {"responseMimeType": "application/json"}
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        return {"responseMimeType": "application/json", **({"responseJsonSchema": schema} if schema else {})}
    return {}


def _thinking(reasoning: dict[str, Any], model: str) -> dict[str, Any] | None:
    """None for the model's own default. Thoughts that were asked for are shown."""
    effort, budget = reasoning.get("effort"), reasoning.get("max_tokens")
    if effort == "none" or reasoning.get("enabled") is False:
        # Not all can be kept from it; the least is what there is.
        if thinks_in_levels(model):
            return {"thinkingLevel": least_level(model)}
        return {"thinkingBudget": least_budget(model)}
    if budget is not None:
        made: dict[str, Any] = {"thinkingBudget": budget}
    elif effort and thinks_in_levels(model):
        made = {"thinkingLevel": least_level(model) if effort == "minimal" else _LEVELS.get(effort, effort.upper())}
    elif effort:
        made = {"thinkingBudget": _BUDGETS.get(effort, -1)}
    elif reasoning.get("enabled") or reasoning.get("summary"):
        made = {}
    else:
        return None
    return made | ({} if reasoning.get("display") == "omitted" or budget == 0 else {"includeThoughts": True})

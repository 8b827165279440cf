"""A chat's messages as Gemini's contents: the system instruction apart, calls with the signatures of their thoughts."""

from typing import Any

import orjson

from ..refusals import invalid
from .parts import parts

#: Whose the signature of a thought is: another vendor's would be refused.
FORMAT = "google-gemini-v1"
#: Google's word for "this call was made by another model", without which a call must be signed
#: (https://ai.google.dev/gemini-api/docs/thought-signatures).
_UNSIGNED = "skip_thought_signature_validator"


def contents(messages: list[dict[str, Any]], *, signed: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The parts of the system instruction, in which all system and developer messages end up, and the contents.
    `signed`: whether the model asks for the signature of each call.

    Raises `CallFailed` for what Gemini cannot be told.
    """
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message["role"] in ("system", "developer"):
            system += parts(message.get("content"), where)
            continue
        if message["role"] == "assistant":
            role, made = "model", _said(message, names, where, signed)
        elif message["role"] in ("tool", "function"):
            role, made = "user", [_answered(message, names, where)]
        else:
            role, made = "user", parts(message.get("content"), where)
        if not made:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += made
        else:
            turns.append({"role": role, "parts": made})
    return system, turns


def _said(message: dict[str, Any], names: dict[str, str], where: str, signed: bool) -> list[dict[str, Any]]:
    calls = message.get("tool_calls") or ()
    asked = [_call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)]
    names.update({part["functionCall"].get("id") or "": part["functionCall"]["name"] for part in asked})
    if isinstance(own := message.get("content_parts"), list):
        # What was answered here, sent back as it was: it holds more than chat has words for.
        return own
    text = parts(message.get("content"), where) + parts(message.get("refusal"), where)
    thoughts = _sign(message.get("reasoning_details") or (), text, asked)
    if signed and asked and not any("thoughtSignature" in part for part in asked):
        asked[0]["thoughtSignature"] = _UNSIGNED
    return [*thoughts, *text, *asked]


def _sign(details: Any, text: list[dict[str, Any]], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Puts each signature where it was: at the call it names, else at the text or the first call. What is left are the
    thoughts that carry their own."""
    thoughts = []
    for detail in details:
        if detail.get("format") not in (None, FORMAT):
            continue
        if detail.get("type") == "reasoning.text" and detail.get("signature"):
            thought = {"text": detail.get("text") or "", "thought": True}
            thoughts.append({**thought, "thoughtSignature": detail["signature"]})
        elif detail.get("type") == "reasoning.encrypted" and detail.get("data"):
            named = [part for part in asked if part["functionCall"].get("id") == detail.get("id")]
            for part in (named or text[-1:] or asked)[:1]:
                part["thoughtSignature"] = detail["data"]
    return thoughts


def _call(call: dict[str, Any], where: str) -> dict[str, Any]:
    function = call.get("function") or {}
    if not isinstance(name := function.get("name"), str):
        raise invalid("A tool call in a message needs the name of its function.", f"{where}.function.name")
    arguments = _parsed(function.get("arguments") or "{}")
    if not isinstance(arguments, dict):
        raise invalid("The arguments of a call must be a JSON object in a string.", f"{where}.function.arguments")
    known = {"id": call["id"]} if call.get("id") else {}
    return {"functionCall": {**known, "name": name, "args": arguments}}


def _answered(message: dict[str, Any], names: dict[str, str], where: str) -> dict[str, Any]:
    id = message.get("tool_call_id") or ""
    if (name := names.get(id) or message.get("name")) is None:
        raise invalid("This answers a call that no message before it makes.", f"{where}.tool_call_id")
    said = parts(message.get("content"), where)
    text = "".join(part["text"] for part in said if "text" in part)
    response = _parsed(text)
    if message.get("is_error") is True:
        response = {"error": text}
    elif not isinstance(response, dict):
        response = {"output": text}
    known = {"id": id} if id else {}
    answer: dict[str, Any] = {**known, "name": name, "response": response}
    if shown := [part for part in said if "text" not in part]:
        answer["parts"] = shown
    return {"functionResponse": answer}


def _parsed(said: Any) -> Any:
    try:
        return orjson.loads(said)
    except (orjson.JSONDecodeError, TypeError):
        return None

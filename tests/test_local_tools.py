"""Tool calls read from a model's words, and the schema that words are held to."""

import json
from typing import Any

import pytest

from coatcheck.engine.errors import CallFailed
from coatcheck.providers.local.tools import Toolbox, toolbox

GET = {"type": "function", "function": {"name": "get", "parameters": {"type": "object"}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Adds", "strict": True}}
CALL = '{"name": "get", "arguments": {"city": "Rome"}}'


def called(text: str, **request: Any) -> list[tuple[str, Any]]:
    calls = toolbox({"tools": [GET, ADD], **request}).calls(text)
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


@pytest.mark.parametrize(
    "text",
    [CALL, f"\n{CALL} ", f"```json\n{CALL}\n```", f"```\n{CALL}```", f"<tool_call>\n{CALL}\n</tool_call>"],
)
def test_an_answer_that_is_a_call_is_taken_as_one(text: str) -> None:
    assert called(text) == [("get", {"city": "Rome"})]


def test_several_calls_are_taken_unless_one_is_asked_for() -> None:
    text = f'{CALL}\n{{"name": "add", "arguments": {{}}}}'
    assert called(text) == [("get", {"city": "Rome"}), ("add", {})]
    assert called(text, parallel_tool_calls=False) == [("get", {"city": "Rome"})]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would call get.",
        f"Here you are: {CALL}",
        f"{CALL} and so on",
        '{"name": "drop", "arguments": {}}',
        '{"name": "get", "arguments": "Rome"}',
        '{"name": "get"}',
        '{"name": "get", "arg',
        '["get"]',
        "[" * 100_000,
    ],
)
def test_an_answer_that_is_anything_else_stays_text(text: str) -> None:
    assert called(text) == []


@pytest.mark.parametrize(
    ("text", "may"),
    [("", True), (" \n", True), (f"\n{CALL}", True), ("```json", True), ("<tool", True), ("Here", False), ("[", False)],
)
def test_a_text_is_held_back_while_it_may_be_a_call(text: str, may: bool) -> None:
    assert toolbox({"tools": [GET]}).may_call(text) is may
    assert toolbox({"tools": [GET], "tool_choice": "none"}).may_call(text) is False
    assert toolbox({"tools": [GET], "tool_choice": "required"}).may_call(text) is True


def test_the_schema_names_each_function_with_its_arguments() -> None:
    defs = {"city": {"type": "string"}}
    parameters = {"type": "object", "properties": {"city": {"$ref": "#/$defs/city"}}, "$defs": defs}
    box = Toolbox(tools=({"type": "function", "function": {"name": "get", "parameters": parameters}}, ADD))
    schema = box.schema
    assert schema["$defs"] == defs
    assert [kind["properties"]["name"] for kind in schema["anyOf"]] == [{"const": "get"}, {"const": "add"}]
    assert schema["anyOf"][0]["properties"]["arguments"] == {"type": "object", "properties": parameters["properties"]}
    assert parameters["$defs"] == defs


@pytest.mark.parametrize(
    ("choice", "names", "demanded"),
    [
        (None, ["get", "add"], False),
        ("auto", ["get", "add"], False),
        ("none", [], False),
        ("required", ["get", "add"], True),
        ({"type": "any"}, ["get", "add"], True),
        ({"type": "function", "function": {"name": "add"}}, ["add"], True),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [GET]}}, ["get"], True),
    ],
)
def test_a_tool_choice_narrows_the_tools(choice: Any, names: list[str], demanded: bool) -> None:
    box = toolbox({"tools": [GET, ADD], "tool_choice": choice})
    assert [tool["function"]["name"] for tool in box.tools] == names
    assert box.demanded is demanded


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"type": "function", "function": {"name": "drop"}}, "not declared: drop"),
        ({"type": "function"}, "not declared: None"),
        ("whatever", "no tool_choice whatever"),
    ],
)
def test_a_tool_choice_that_cannot_be_met_is_refused(choice: Any, reason: str) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        toolbox({"tools": [GET], "tool_choice": choice})
    assert (caught.value.status, caught.value.param) == (400, "tool_choice")

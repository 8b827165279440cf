"""What the requests of all operations have in common."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from coatcheck.engine.errors import InvalidRequest
from coatcheck.schemas.operations import OPERATIONS

MINIMAL: dict[str, dict[str, Any]] = {
    "completions": {"model": "openai/gpt-4o", "prompt": "Once upon"},
    "chat/completions": {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hello"}]},
    "responses": {"model": "openai/gpt-4o", "input": "Hello"},
    "embeddings": {"model": "openai/ada", "input": "Hello"},
    "audio/speech": {"model": "openai/tts-1", "input": "Hello", "voice": "alloy"},
    "images/generations": {"model": "openai/gpt-image-1", "prompt": "A fox"},
    "rerank": {"model": "cohere/rerank", "query": "Hello", "documents": [{"text": "Hello"}]},
    "ocr": {"model": "mistral/ocr", "document": {"type": "image_url", "image_url": "data:,x"}},
    "moderations": {"model": "openai/omni", "input": "Hello"},
}
REQUIRED = {
    "completions": {"prompt": "prompt is required for text completion"},
    "chat/completions": {"messages": "messages is required for chat completion"},
    "responses": {"input": "input is required for responses"},
    "embeddings": {"input": "input is required for embeddings"},
    "audio/speech": {
        "input": "input is required for speech completion",
        "voice": "voice is required for speech completion",
    },
    "images/generations": {"prompt": "prompt cannot be empty"},
    "rerank": {"query": "query is required for rerank", "documents": "documents are required for rerank"},
    "ocr": {"document": "document type is required for ocr"},
    "moderations": {"input": "input is required for moderations"},
}
#: Values that say nothing, of a type that the field takes.
EMPTY: dict[str, list[Any]] = {
    "prompt": [""],
    "messages": [[]],
    "input": [""],
    "voice": ["", []],
    "query": ["", " \n"],
    "documents": [[]],
    "document": [{}],
}
STREAMS = {
    "completions": "stream is not supported for async text completions",
    "chat/completions": "stream is not supported for async chat completions",
    "responses": "stream is not supported for async responses",
    "audio/speech": "stream is not supported for async speech",
    "images/generations": "stream is not supported for async image generations",
}
#: What asks for a stream where it is not `"stream": true`.
SSE = {"audio/speech": ("stream_format", "sse")}
FORMS = {name for name, operation in OPERATIONS.items() if operation.files}

every_operation = pytest.mark.parametrize("name", MINIMAL)
#: Those that do not take a model by default.
MODELLED = sorted(MINIMAL.keys() - {"moderations"})

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def likely(schema: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that use the schema's keys, as well as others."""
    return st.dictionaries(st.sampled_from(sorted(schema.fields)) | st.text(max_size=5), json_values, max_size=5)


def outcome_of(load: Callable[[Any], Any], body: object) -> Any:
    try:
        return load(body)
    except (InvalidRequest, ValidationError) as refusal:
        return refusal


def refused(name: str, body: object) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        OPERATIONS[name].load(body)
    return caught.value.message, caught.value.param


def test_every_operation_is_listed_under_its_own_name_and_described() -> None:
    assert {name: operation.name for name, operation in OPERATIONS.items()} == {name: name for name in OPERATIONS}
    assert set(OPERATIONS) - FORMS == set(MINIMAL)
    assert all(operation.summary and operation.description for operation in OPERATIONS.values())


def test_the_request_types_are_those_of_bifrost() -> None:
    types = {name: operation.request_type for name, operation in OPERATIONS.items()}
    assert types == {
        "completions": "text_completion",
        "chat/completions": "chat_completion",
        "responses": "responses",
        "embeddings": "embedding",
        "audio/speech": "speech",
        "audio/transcriptions": "transcription",
        "images/generations": "image_generation",
        "images/edits": "image_edit",
        "images/variations": "image_variation",
        "rerank": "rerank",
        "ocr": "ocr",
        "moderations": "moderation",
    }


@every_operation
def test_a_minimal_request_comes_out_as_it_came_in(name: str) -> None:
    loaded = OPERATIONS[name].load(MINIMAL[name])
    assert loaded.body == MINIMAL[name]
    assert loaded.model == MINIMAL[name]["model"]
    assert loaded.fallbacks == ()


@every_operation
@pytest.mark.parametrize(
    ("body", "what"),
    [([], "a list"), ("{}", "a string"), (1, "a number"), (1.5, "a floating-point number"), (True, "a boolean")],
)
def test_a_body_that_is_no_object_is_named(name: str, body: object, what: str) -> None:
    assert refused(name, body) == (f"invalid request format: expected a JSON object, got {what}", None)


@every_operation
def test_a_null_body_is_named(name: str) -> None:
    assert refused(name, None) == ("invalid request format: expected a JSON object, got null", None)


@pytest.mark.parametrize("name", MODELLED)
@pytest.mark.parametrize("model", [None, "", " \t"])
def test_a_model_that_says_nothing_is_asked_for(name: str, model: str | None) -> None:
    assert refused(name, {**MINIMAL[name], "model": model}) == ("model is required", "model")


@pytest.mark.parametrize("name", MODELLED)
def test_the_model_is_asked_for_before_anything_else_that_is_missing(name: str) -> None:
    assert refused(name, {}) == ("model is required", "model")


@pytest.mark.parametrize("model", [None, "", " \t"])
def test_moderations_may_leave_the_model_to_the_server(model: str | None) -> None:
    loaded = OPERATIONS["moderations"].load({"input": "Hello", "model": model})
    assert (loaded.model, loaded.body) == ("", {"input": "Hello"})


@every_operation
def test_a_required_field_that_says_nothing_is_asked_for(name: str) -> None:
    for field, message in REQUIRED[name].items():
        for value in (None, *EMPTY[field]):
            assert refused(name, {**MINIMAL[name], field: value})[0] == message


@every_operation
def test_a_required_field_that_is_absent_is_asked_for(name: str) -> None:
    for field, message in REQUIRED[name].items():
        body = {key: value for key, value in MINIMAL[name].items() if key != field}
        assert refused(name, body) == (message, field)


@every_operation
def test_the_table_says_what_is_required(name: str) -> None:
    model = {"model": "model is required"} if name in MODELLED else {}
    assert OPERATIONS[name].required == {**model, **REQUIRED[name]}


@every_operation
def test_wrong_types_are_named_before_what_is_missing(name: str) -> None:
    message = "invalid request format: fallbacks: expected a list of models, got a string"
    assert refused(name, {"fallbacks": "openai/gpt-4o"}) == (message, "fallbacks")


@every_operation
@pytest.mark.parametrize(
    ("model", "what"), [(5, "a number"), (True, "a boolean"), (["a"], "a list"), ({"name": "a"}, "an object")]
)
def test_a_model_must_be_a_string(name: str, model: object, what: str) -> None:
    message = f"invalid request format: model: expected a string, got {what}"
    assert refused(name, {**MINIMAL[name], "model": model}) == (message, "model")


@pytest.mark.parametrize(("name", "message"), STREAMS.items())
def test_a_stream_is_refused(name: str, message: str) -> None:
    assert OPERATIONS[name].stream_message == message
    field, value = SSE.get(name, ("stream", True))
    assert refused(name, {**MINIMAL[name], field: value}) == (message, field)


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_missing_is_asked_for_before_a_stream_is_refused(name: str) -> None:
    field, value = SSE.get(name, ("stream", True))
    assert refused(name, {"model": "openai/gpt-4o", field: value})[0] in REQUIRED[name].values()


@pytest.mark.parametrize("name", sorted(STREAMS.keys() - SSE))
def test_a_stream_must_be_true_or_false(name: str) -> None:
    message = "invalid request format: stream: expected true or false, got a string"
    assert refused(name, {**MINIMAL[name], "stream": "true"}) == (message, "stream")


@pytest.mark.parametrize("name", sorted(MINIMAL.keys() - STREAMS))
def test_an_operation_that_knows_no_streams_drops_the_word(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation.stream_message is None
    assert operation.load({**MINIMAL[name], "stream": True}).body == MINIMAL[name]


@every_operation
def test_a_stream_not_wanted_is_dropped_with_its_options(name: str) -> None:
    body = {**MINIMAL[name], "stream": False, "stream_options": {"include_usage": True}}
    assert OPERATIONS[name].load(body).body == MINIMAL[name]


@every_operation
def test_an_optional_null_is_dropped_and_an_unknown_one_kept(name: str) -> None:
    body = {**MINIMAL[name], "fallbacks": None, "brand_new": None}
    assert OPERATIONS[name].load(body).body == {**MINIMAL[name], "brand_new": None}


@every_operation
def test_fallbacks_come_out_of_the_body_as_names(name: str) -> None:
    fallbacks = ["openai/gpt-4o-mini", {"provider": "groq", "model": "meta/llama"}, "bare"]
    loaded = OPERATIONS[name].load({**MINIMAL[name], "fallbacks": fallbacks})
    assert loaded.fallbacks == ("openai/gpt-4o-mini", "groq/meta/llama", "bare")
    assert loaded.body == MINIMAL[name]


@every_operation
@pytest.mark.parametrize(
    ("entry", "path", "reason"),
    [
        (5, "fallbacks[1]", "expected a string or an object, got a number"),
        (None, "fallbacks[1]", "expected a string or an object, got null"),
        ({"provider": "groq"}, "fallbacks[1].model", "expected a string, but it is missing"),
        ({"provider": 1, "model": "x"}, "fallbacks[1].provider", "expected a string, got a number"),
    ],
)
def test_a_fallback_that_names_no_model_is_found(name: str, entry: Any, path: str, reason: str) -> None:
    body = {**MINIMAL[name], "fallbacks": ["openai/x", entry]}
    assert refused(name, body) == (f"invalid request format: {path}: {reason}", path)


@every_operation
def test_loading_leaves_the_clients_body_as_it_is(name: str) -> None:
    body = {**MINIMAL[name], "fallbacks": ["a/b"], "stream": False, "user": None}
    before = dict(body)
    OPERATIONS[name].load(body)
    assert body == before


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        ("chat/completions", "temperature", 2.5, "temperature: expected a number from 0 to 2, got 2.5"),
        ("chat/completions", "top_logprobs", -1, "top_logprobs: expected an integer from 0 to 20, got -1"),
        ("chat/completions", "n", 0, "n: expected an integer of at least 1, got 0"),
        (
            "chat/completions",
            "verbosity",
            "deafening",
            "verbosity: expected 'low', 'medium' or 'high', got 'deafening'",
        ),
        (
            "chat/completions",
            "messages",
            [{"role": "narrator"}],
            "messages[0].role: expected 'assistant', 'user', 'system', 'tool', 'developer' or 'function', "
            "got 'narrator'",
        ),
        (
            "audio/speech",
            "response_format",
            "x" * 1000,
            "response_format: expected 'mp3', 'opus', 'aac', 'flac', 'wav', 'pcm', 'ogg' or 'mulaw', "
            f"got '{'x' * 40}…'",
        ),
        ("audio/speech", "speed", 0.1, "speed: expected a number from 0.25 to 4, got 0.1"),
        ("images/generations", "n", 11, "n: expected an integer from 1 to 10, got 11"),
        ("ocr", "pages", [0, -1], "pages[1]: expected an integer of at least 0, got -1"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_what_is(name: str, field: str, value: Any, message: str) -> None:
    assert refused(name, {**MINIMAL[name], field: value})[0] == f"invalid request format: {message}"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("chat/completions", {"temperature": 0, "top_p": 1, "n": 1, "reasoning_effort": "max", "tool_choice": "any"}),
        ("chat/completions", {"max_tokens": -1, "messages": [{"role": "function", "name": "f", "content": "1"}]}),
        ("completions", {"logprobs": 20, "max_tokens": -1}),
        ("embeddings", {"encoding_format": "ubinary"}),
        ("responses", {"reasoning": {"effort": "minimal"}, "tool_choice": "required"}),
        ("images/generations", {"size": "1280x720", "quality": "hd", "n": 10}),
        ("images/generations", {"size": "1024*1024", "style": "vivid"}),
        ("audio/speech", {"voice": "a voice of a vendor's own", "speed": 4}),
    ],
)
def test_what_clients_send_to_vendors_is_taken(name: str, body: dict[str, Any]) -> None:
    OPERATIONS[name].load({**MINIMAL[name], **body})


@pytest.mark.parametrize("kind", ["hologram", "document_url", "audio_url"])
def test_content_of_a_kind_that_is_not_known_is_the_providers_business(kind: str) -> None:
    message = {"role": "user", "content": [{"type": kind, kind: "data:,x"}]}
    body = {**MINIMAL["chat/completions"], "messages": [message]}
    assert OPERATIONS["chat/completions"].load(body).body == body


def test_a_huge_key_is_cut_in_the_refusal() -> None:
    message, param = refused("completions", {**MINIMAL["completions"], "logit_bias": {"k" * 100_000: "x"}})
    assert param == "logit_bias." + "k" * 40
    assert message == f"invalid request format: {param}: expected a number, got a string"


@every_operation
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_any_object_is_loaded_or_refused_with_a_reason(name: str, data: st.DataObject) -> None:
    operation = OPERATIONS[name]
    body = data.draw(likely(operation.schema) | likely(operation.schema).map(lambda sent: {**MINIMAL[name], **sent}))
    outcome = outcome_of(operation.load, body)
    if isinstance(outcome, InvalidRequest):
        assert outcome.message.strip()
    else:
        model = body.get("model") or ""
        assert outcome.model == (model if model.strip() else "")
        assert not outcome.body.keys() & {"fallbacks", "stream", "stream_options"}


@every_operation
@given(unknown=st.dictionaries(st.text(min_size=1, max_size=5).map("x-{}".format), json_values, max_size=4))
@settings(deadline=None, max_examples=50)
def test_the_unknown_keys_of_a_valid_request_survive(name: str, unknown: dict[str, Any]) -> None:
    assert OPERATIONS[name].load({**MINIMAL[name], **unknown}).body == {**MINIMAL[name], **unknown}


@every_operation
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_the_quick_check_and_marshmallows_own_load_agree(name: str, data: st.DataObject) -> None:
    schema = OPERATIONS[name].schema
    body = data.draw(likely(schema).map(lambda sent: {**MINIMAL[name], **sent}))
    refusal = outcome_of(schema.check, body)
    if refusal:
        assert refusal.messages.keys() <= schema.validate(body).keys()
    else:
        assert schema.load(body) == body

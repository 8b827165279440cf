"""What a request may say to LiteLLM: a list of fields an operation, and nothing that leads elsewhere."""

from typing import Any

import pytest

from coatcheck.engine.calls import Call
from coatcheck.engine.errors import CallFailed
from coatcheck.providers.litellm.provider import LiteLLMOptions, LiteLLMProvider
from coatcheck.providers.litellm.requests import FIELDS, OPERATIONS, arguments, documents
from coatcheck.schemas.operations import OPERATIONS as ALL

#: Of each operation, what it cannot do without.
REQUESTS: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "completions": {"prompt": "hello"},
    "embeddings": {"input": "hello"},
    "audio/speech": {"input": "hello", "voice": "alloy"},
    "audio/transcriptions": {},
    "images/generations": {"prompt": "a cat"},
    "images/edits": {"prompt": "a hat"},
    "rerank": {"query": "q", "documents": [{"text": "a"}]},
    "ocr": {"document": {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}},
}

#: By these the library would send the operator's key elsewhere, run something else, or tell somebody.
LEADING_ELSEWHERE = (
    *("api_base", "api_key", "base_url", "api_version", "organization", "headers", "extra_headers", "extra_body"),
    *("extra_query", "proxy", "http_client", "client", "custom_llm_provider", "fallback_models", "context_window"),
    *("callbacks", "success_callback", "failure_callback", "logger_fn", "mock_response", "model_list", "deployment_id"),
    *("litellm_params", "litellm_metadata", "caching", "cache", "num_retries", "max_retries", "timeout", "ssl_verify"),
    *("input_cost_per_token", "output_cost_per_token", "prompt_id", "vector_store_ids", "guardrails", "no-log"),
    *("aws_region_name", "aws_bedrock_runtime_endpoint", "vertex_project", "vertex_credentials", "azure_ad_token"),
    *("hf_model_name", "custom_prompt_dict", "router", "user_continue_message", "allowed_openai_params"),
    *("drop_params", "shared_session", "_skip_mcp_handler", "rank_fields", "aspeech", "acompletion"),
)


def asked(operation: str, vendor: str = "cohere", **request: Any) -> dict[str, Any]:
    body = {"model": "up/m", **REQUESTS[operation], **request}
    return arguments(Call(job_id="j", operation=operation, model="m", request=body), vendor)


def refused(operation: str, **request: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        asked(operation, **request)
    assert caught.value.status == 400
    return caught.value


def test_what_only_other_vendors_know_is_left_out() -> None:
    said = {
        "role": "assistant",
        "content": "Hi.",
        "reasoning_details": [{"type": "reasoning.text", "signature": "c2ln"}],
    }
    more = {"content_blocks": [], "is_error": True, "citations": []}
    found = asked("chat/completions", messages=[{**said, **more}], cache_control={}, context_management={})
    assert found == {"messages": [{"role": "assistant", "content": "Hi."}]}


@pytest.mark.parametrize("operation", FIELDS)
def test_a_plain_request_is_passed_on(operation: str) -> None:
    request = dict(REQUESTS[operation])
    if operation == "rerank":
        request["documents"] = ["a"]
    assert asked(operation) == request


@pytest.mark.parametrize("operation", FIELDS)
@pytest.mark.parametrize("field", LEADING_ELSEWHERE)
def test_fields_that_lead_elsewhere_are_refused(operation: str, field: str) -> None:
    error = refused(operation, **{field: "http://127.0.0.1:9/"})
    assert (error.code, error.param) == ("unsupported_parameter", field)


def test_its_operations_are_all_but_one() -> None:
    assert set(ALL) - set(OPERATIONS) == {"images/variations", "moderations"}
    assert set(OPERATIONS) <= set(ALL)
    assert set(FIELDS) | {"responses"} == set(OPERATIONS)


def test_labels_without_a_bearing_on_the_answer_are_left_out() -> None:
    labels = {"metadata": {"a": "b"}, "store": True, "stream": False, "stream_options": {}, "user": None}
    assert asked("chat/completions", **labels) == REQUESTS["chat/completions"]


def test_the_limit_and_the_effort_have_the_names_that_the_library_knows_for_the_vendor() -> None:
    request = {"max_completion_tokens": 5, "reasoning": {"effort": "low", "max_tokens": 100}}
    more = {"reasoning_effort": "low", "thinking": {"type": "enabled", "budget_tokens": 100}}
    for vendor, name in (("cohere", "max_tokens"), ("openai", "max_completion_tokens")):
        assert asked("chat/completions", vendor, **request) == {**REQUESTS["chat/completions"], name: 5, **more}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}}],
        [{"type": "image_url", "image_url": "https://x.invalid/i.png"}],
        [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}],
        [{"type": "video_url", "video_url": {"url": "gs://bucket/v.mp4"}}],
        [{"type": "file", "file": {"file_id": "https://x.invalid/f.pdf"}}],
        [{"type": "file", "file": {"file_data": "http://x.invalid/f.pdf"}}],
        [{"type": "image", "source": {"type": "url", "url": "https://x.invalid/i.png"}}],
        [{"type": "tool_result", "content": [{"type": "image_url", "image_url": {"url": "http://x.invalid/"}}]}],
    ],
)
def test_content_by_address_is_refused(content: Any) -> None:
    error = refused("chat/completions", messages=[{"role": "user", "content": content}])
    assert (error.code, error.param) == ("unsupported_content", "messages")


@pytest.mark.parametrize(
    "content",
    [
        "see https://x.invalid/",
        [{"type": "text", "text": "see https://x.invalid/"}],
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}],
        [{"type": "file", "file": {"file_id": "file-123"}}],
        [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}],
        [{"type": "file", "file": {"file_data": "AAAA"}}],
    ],
)
def test_content_within_the_request_is_not(content: Any) -> None:
    messages = [{"role": "user", "content": content}]
    assert asked("chat/completions", messages=messages)["messages"] == messages


@pytest.mark.parametrize(
    ("operation", "request_", "param"),
    [
        ("ocr", {"document": {"type": "document_url", "document_url": "https://x.invalid/a.pdf"}}, "document"),
        ("ocr", {"document": {"type": "file", "file": "/etc/passwd"}}, "document"),
        ("audio/speech", {"voice": [{"speaker": "Ann", "voice": "alloy"}]}, "voice"),
        ("chat/completions", {"tools": [{"type": "mcp", "server_url": "litellm_proxy/x"}]}, "tools"),
        ("chat/completions", {"tools": [{"type": "web_search"}]}, "tools"),
    ],
)
def test_what_the_library_would_open_or_run_itself_is_refused(operation: str, request_: Any, param: str) -> None:
    assert refused(operation, **request_).param == param


def test_documents_go_as_texts_and_come_back_as_they_were() -> None:
    given = [{"text": "a", "id": "7"}, "b"]
    call = Call(job_id="j", operation="rerank", model="m", request={"documents": given, "return_documents": True})
    assert documents(call) == [{"text": "a", "id": "7"}, {"text": "b"}]
    call.request["return_documents"] = False
    assert documents(call) is None
    assert asked("rerank", documents=given, return_documents=True)["documents"] == ["a", "b"]


def provider(**options: Any) -> LiteLLMProvider:
    return LiteLLMProvider("co", LiteLLMOptions(**{"vendor": "cohere", **options}), {"KEY": "a-key-of-cohere"})


def test_a_model_that_is_an_address_is_not_taken() -> None:
    made = provider()
    assert made.check("rerank", "rerank-v3.5") is None
    assert made.check("rerank", "") == "needs the name of a model"
    assert made.check("rerank", "https://x.invalid/m") == "takes no address for a model"
    for astray in ("a/../../files?x=1#", "../m", "m/..", "./m", "m#", "m?a=b", "m%2e", "m\\..", "m\n"):
        assert made.check("rerank", astray) == f"has no model {astray!r}: it is no name"
    for model in ("org/m.1", "..m", "arn:aws:bedrock:eu-1:1:profile/m-v1:0", "deepseek/r1:free", "@cf/m"):
        assert made.check("rerank", model) is None
    assert "has no operation images/variations" in str(made.check("images/variations", "m"))
    assert str(provider(operations=("rerank",)).check("embeddings", "m")).endswith("it has rerank")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vendor": "Not A Vendor"}, "is not a vendor's name"),
        ({"vendor": "cohere/x"}, "is not a vendor's name"),
        ({"operations": ("video",)}, "operations: video is not one of"),
        ({"api_key_env": "NONE"}, "api_key_env: the environment variable NONE is not set"),
        ({"params_env": {"aws_secret_access_key": "NONE"}}, "params_env.aws_secret_access_key: the environment"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        provider(**options)


def test_what_the_operator_says_is_not_the_clients_to_change() -> None:
    made = provider(
        api_key_env="KEY", base_url="https://cohere.example", params={"region": "eu"}, params_env={"token": "KEY"}
    )
    assert made._fixed == {
        "region": "eu",
        "token": "a-key-of-cohere",
        "api_key": "a-key-of-cohere",
        "api_base": "https://cohere.example",
        "timeout": 600.0,
        "max_retries": 0,
    }
    assert set(made._secrets) == {"a-key-of-cohere"}

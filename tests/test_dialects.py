"""In whose words errors are said: by the route, and where there is none, by the path."""

from pathlib import Path
from typing import Any

import pytest

from .clients import Answer, client, embedded

BIFROST = {"is_bifrost_error", "status_code", "error", "extra_fields"}
OPENAI = {"error"}
ANTHROPIC = {"type", "error", "request_id"}

#: Paths at which there is nothing, and whose clients would ask there.
NOWHERE = [
    ("/v1/async/nothing", BIFROST),
    ("/v1/nothing", BIFROST),
    ("/nothing", BIFROST),
    ("/v1/chatter", BIFROST),
    ("/anthropics", BIFROST),
    ("/v1/chat", OPENAI),
    ("/v1/files", OPENAI),
    ("/v1/audio/translations", OPENAI),
    ("/openai/v1/async/embeddings", OPENAI),
    ("/openai", OPENAI),
    ("/anthropic/v1/complete", ANTHROPIC),
    ("/anthropic/v1/messages/batches", ANTHROPIC),
    ("/v3/chat", OPENAI),
    ("/v3/videos", OPENAI),
    ("/v3/v1/complete", ANTHROPIC),
]


def said_as(answer: Answer, keys: set[str]) -> None:
    """Asserts that the error is said in the words of that dialect."""
    error = answer.json
    assert set(error) - {"type"} == keys - {"type"}, answer.text
    details = {
        frozenset(BIFROST): {"message", "code"},
        frozenset(OPENAI): {"message", "type", "param", "code"},
        frozenset(ANTHROPIC): {"message", "type"},
    }[frozenset(keys)]
    assert set(error["error"]) - {"param"} == details - {"param"}, answer.text
    if keys == ANTHROPIC:
        assert answer.headers["request-id"] == error["request_id"] == answer.headers["x-request-id"]


def test_a_path_at_which_there_is_nothing_is_answered_as_its_clients_expect(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for path, keys in NOWHERE:
                answer = await c.ask("POST", path, {})
                assert answer.status == 404
                said_as(answer, keys)
                assert answer.json["error"]["message"].endswith(f"there is nothing at {path}")

    run(main())


@pytest.mark.parametrize("prefix", ["/ai", "/openai", "/anthropic/v1"])
def test_where_the_application_is_mounted_makes_no_difference(folder: Path, run: Any, prefix: str) -> None:
    async def main() -> None:
        async with embedded(folder, prefix) as c:
            for path, keys in NOWHERE:
                answer = await c.ask("POST", path, {})
                assert answer.status == 404
                said_as(answer, keys)
            for path, keys in (
                ("/v1/async/embeddings", BIFROST),
                ("/v1/embeddings", OPENAI),
                ("/anthropic/v1/messages", ANTHROPIC),
            ):
                answer = await c.ask("POST", path, {})
                assert answer.status == 400
                said_as(answer, keys)
                assert answer.json["error"]["message"] == "model is required"

    run(main())


def test_what_browsers_and_methods_are_refused_is_said_in_the_same_words(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for path, keys in (
                ("/v1/async/embeddings", BIFROST),
                ("/v1/embeddings", OPENAI),
                ("/openai/v1/models", OPENAI),
                ("/anthropic/v1/messages", ANTHROPIC),
            ):
                strange = await c.ask("POST", path, {}, {"Origin": "https://evil.example"})
                assert strange.status == 403
                said_as(strange, keys)
                method = await c.ask("DELETE", path)
                assert (method.status, "Allow" in method.headers) == (405, True)
                said_as(method, keys)

    run(main())


def test_a_body_that_is_too_large_is_refused_in_the_same_words(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, server={"max_json_bytes": 1024}) as c:
            for path, keys, word in (
                ("/v1/embeddings", OPENAI, "invalid_request_error"),
                ("/anthropic/v1/messages", ANTHROPIC, "request_too_large"),
            ):
                answer = await c.ask("POST", path, b"{" + b" " * 2000 + b"}")
                assert (answer.status, answer.json["error"]["type"]) == (413, word)
                said_as(answer, keys)

    run(main())

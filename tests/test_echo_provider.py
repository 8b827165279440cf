"""Kind `echo`: what it answers is what it told while it waited."""

from typing import Any

import orjson
import pytest

from coatcheck.engine.calls import Call, Progress
from coatcheck.engine.errors import CallFailed

from .jobs import echo

BLOCKS = [{"role": "user", "content": "no"}, {"role": "user", "content": [{"type": "text", "text": "Grüße 🎉"}]}]


@pytest.mark.parametrize("model", ["wait-0.01", "wait-0.01+wait-0.01"])
@pytest.mark.parametrize(
    ("operation", "request_", "where"),
    [
        ("chat/completions", {"messages": BLOCKS}, ("choices", 0, "message", "content")),
        ("completions", {"prompt": ["one two three four", "no"]}, ("choices", 0, "text")),
        ("responses", {"input": BLOCKS}, ("output", 0, "content", 0, "text")),
    ],
)
def test_what_it_tells_while_it_waits_is_its_answer(
    run: Any, model: str, operation: str, request_: dict[str, Any], where: tuple[Any, ...]
) -> None:
    heard: list[Progress] = []
    call = Call(job_id="j", operation=operation, model=model, request=request_, progress=heard.append)
    answer = orjson.loads(run(echo().execute(call)).result)
    for step in where:
        answer = answer[step]
    assert len(answer) > 5
    assert "".join(progress.delta for progress in heard) == answer
    assert len([progress for progress in heard if progress.delta]) > 5
    assert {(progress.unit, progress.total) for progress in heard} == {("percent", 100)}


def test_embeddings_have_no_text_to_tell(run: Any) -> None:
    heard: list[Progress] = []
    request = {"input": "hello"}
    run(
        echo().execute(
            Call(job_id="j", operation="embeddings", model="wait-0.01", request=request, progress=heard.append)
        )
    )
    assert [progress.done for progress in heard] == list(range(0, 100, 10))
    assert {progress.delta for progress in heard} == {""}


def test_a_failure_after_a_wait_fails_all_the_same(run: Any) -> None:
    request = {"prompt": "hello"}
    with pytest.raises(CallFailed, match="told to answer 503"):
        run(echo().execute(Call(job_id="j", operation="completions", model="wait-0.01+status-503", request=request)))

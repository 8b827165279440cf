"""Kind `openai` against a real server of models, llama.cpp's: its streams say what its plain answers say."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.calls import Call, Progress, Reply
from coatcheck.providers.kinds import KINDS
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider

from .local_models import CHAT

SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port = sys.argv[1], ["127.0.0.1"], 0
params.n_ctx, params.cpuparams.n_threads, params.ui, params.verbosity = 2048, 1, False, -1
if sys.argv[2] != "NONE":
    params.embedding = True
    params.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{sys.argv[2]}")
server = xllamacpp.Server(params)
print("listens on", server.listening_address, flush=True)
sys.stdin.read()
"""

HELLO = [{"role": "user", "content": "Say hello to Ana."}]


@contextmanager
def listening(models_dir: Path, pooling: str = "NONE") -> Iterator[str]:
    """The address of a server of a chat model, or of one that pools what the model makes of a text."""
    path = next((models_dir / CHAT).glob("*.gguf"))
    command = [sys.executable, "-c", SERVER, str(path), pooling]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield next(line.split()[-1] for line in server.stdout if line.startswith("listens on"))
        finally:
            server.kill()


@pytest.fixture(scope="module")
def address(models_dir: Path) -> Iterator[str]:
    with listening(models_dir) as found:
        yield found


async def carried_out(address: str, operation: str, request: dict[str, Any]) -> Reply:
    """The reply of a provider of the kind that is named after this server."""
    kind = KINDS["llama.cpp"]
    provider = kind.make("up", kind.options(base_url=f"{address}/v1"))
    assert provider.check(operation, "m") is None
    await provider.start()
    try:
        return await provider.execute(Call(job_id="j", operation=operation, model="m", request=request))
    finally:
        await provider.close()


def same(result: Any) -> Any:
    """The result without what differs from call to call."""
    if isinstance(result, dict):
        passing = ("id", "created", "created_at", "completed_at", "timings", "cached_tokens")
        return {key: same(value) for key, value in result.items() if key not in passing}
    return [same(item) for item in result] if isinstance(result, list) else result


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("chat/completions", {"messages": HELLO, "max_tokens": 20}),
        ("chat/completions", {"messages": HELLO, "max_tokens": 6, "logprobs": True, "top_logprobs": 2}),
        ("completions", {"prompt": "Once upon", "max_tokens": 8, "logprobs": 2}),
        ("responses", {"input": "Say hello to Ana.", "max_output_tokens": 20}),
    ],
)
def test_a_stream_gives_the_plain_result(run: Any, address: str, operation: str, request_: dict[str, Any]) -> None:
    async def asked(stream: bool) -> tuple[Any, str]:
        heard: list[Progress] = []
        provider = OpenAIProvider("up", OpenAIOptions(base_url=f"{address}/v1", stream=stream), {})
        await provider.start()
        try:
            request = {**request_, "temperature": 0}
            call = Call(job_id="j", operation=operation, model="m", request=request, progress=heard.append)
            # Twice: what one call leaves of its connection must not hurt the next.
            await provider.execute(call)
            heard.clear()
            result = orjson.loads((await provider.execute(call)).result)
        finally:
            await provider.close()
        return result, "".join(progress.delta for progress in heard)

    async def main() -> None:
        (plain, nothing), (streamed, told) = await asked(False), await asked(True)
        assert same(streamed) == same(plain)
        assert nothing == ""
        if operation == "responses":
            assert told == streamed["output"][0]["content"][0]["text"]
        else:
            choice = streamed["choices"][0]
            assert told == (choice["text"] if operation == "completions" else choice["message"]["content"])
        assert len(told) > 10

    run(main())


def test_a_ping_counts_its_models(run: Any, address: str) -> None:
    async def main() -> None:
        provider = OpenAIProvider("up", OpenAIOptions(base_url=f"{address}/v1"), {})
        await provider.start()
        try:
            assert await provider.ping() == "answers, 1 model"
        finally:
            await provider.close()

    run(main())


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("chat/completions", {"messages": HELLO, "max_completion_tokens": 5}),
        ("completions", {"prompt": "Once upon", "max_tokens": 5}),
        ("responses", {"input": "Say hello to Ana.", "max_output_tokens": 5}),
    ],
)
def test_its_usage_is_understood(run: Any, address: str, operation: str, request_: dict[str, Any]) -> None:
    usage = run(carried_out(address, operation, request_)).usage
    assert usage.input_tokens > 0
    assert usage.output_tokens == 5


def test_it_embeds(run: Any, models_dir: Path) -> None:
    with listening(models_dir, "MEAN") as address:
        reply = run(carried_out(address, "embeddings", {"input": ["hello", "good bye"]}))
    first, second = orjson.loads(reply.result)["data"]
    assert (first["index"], second["index"]) == (0, 1)
    assert len(first["embedding"]) == len(second["embedding"]) > 100
    assert reply.usage.input_tokens > 0


def test_it_ranks(run: Any, models_dir: Path) -> None:
    """The scores of a model that was not made for it mean nothing, but they are scores."""
    documents = [{"text": text, "id": text} for text in ("hello", "good bye", "see you")]
    request = {"query": "hello", "documents": documents, "top_n": 2, "return_documents": True}
    with listening(models_dir, "RANK") as address:
        reply = run(carried_out(address, "rerank", request))
    best, second = orjson.loads(reply.result)["results"]
    assert best["relevance_score"] >= second["relevance_score"]
    assert best["document"] == documents[best["index"]]
    assert reply.usage.input_tokens > 0

"""Kind `openai` against a real server of models, llama.cpp's: its streams say what its plain answers say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.calls import Call, Progress
from coatcheck.providers.openai import OpenAIOptions, OpenAIProvider

from .local_models import CHAT

SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port = sys.argv[1], ["127.0.0.1"], 0
params.n_ctx, params.cpuparams.n_threads, params.ui, params.verbosity = 2048, 1, False, -1
server = xllamacpp.Server(params)
print("listens on", server.listening_address, flush=True)
sys.stdin.read()
"""

HELLO = [{"role": "user", "content": "Say hello to Ana."}]


@pytest.fixture(scope="module")
def address(models_dir: Path) -> Iterator[str]:
    path = next((models_dir / CHAT).glob("*.gguf"))
    command = [sys.executable, "-c", SERVER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield next(line.split()[-1] for line in server.stdout if line.startswith("listens on"))
        server.kill()


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

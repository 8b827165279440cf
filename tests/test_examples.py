"""The examples run as they stand."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from .clients import client

DELIVERIES = "/v1/webhooks/deliveries"
EXAMPLES = Path(__file__).parent.parent / "examples"


@asynccontextmanager
async def serving(folder: Path, name: str, *arguments: str) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """An example that serves: where, and what else it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", EXAMPLES / name, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    # What it says beside that, of how it is ended.
    await process.stdout.readline()
    try:
        yield found[0], process.stdout
    finally:
        process.terminate()
        await process.communicate()


async def output(folder: Path, name: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLES / name, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


def test_submit_and_poll_prints_the_answer(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await output(folder, "submit_and_poll.py", c.served.url, "echo/wait-0.1", "What is this?")
            assert answer == "What is this?\n"

    run(main())


def test_the_embedding_application_serves_the_gateway_below_its_prefix(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with serving(folder, "embed.py", "0") as (url, _):
            answer = await output(folder, "submit_and_poll.py", f"{url}/ai", "echo/echo", "Mounted?")
            assert answer == "Mounted?\n"

    run(main())


def test_watch_prints_the_text_as_it_comes(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            text = await output(folder, "watch.py", c.served.url, "echo/wait-0.3", "A story of three words.")
            assert text == "A story of three words.\n"

    run(main())


def test_universal_prints_what_the_feature_makes_of_a_file(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "ticket.mp3").write_bytes(b"what was said")
        async with client(folder) as c:
            model = "audio/speech_to_text_async/echo/wait-0.1"
            found = json.loads(await output(folder, "universal.py", c.served.url, model, "ticket.mp3"))
            assert found["text"] == "what was said"

    run(main())


def test_the_receiver_prints_what_is_genuine_once_and_refuses_the_rest(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, webhooks={"allow_private_networks": True}) as c:
            secret = (await c.ask("GET", "/v1/webhooks/secret")).json["secret"]
            async with serving(folder, "receiver.py", c.served.url, secret, "0") as (url, printed):
                v1 = await c.submit(headers={"x-bf-async-webhook": url})
                told = json.loads(await printed.readline())
                assert (told["event"], told["data"]["job_id"]) == ("async_job.completed", v1)
                body = {"model": "text/embeddings/echo/echo", "input": {"texts": ["a"]}, "webhook_receiver": url}
                v3 = (await c.ask("POST", "/v3/universal-ai/async", body)).json["public_id"]
                told = json.loads(await printed.readline())
                assert (told["event"], told["job_id"]) == ("async_job_completed", v3)
                for forged in ({}, {"X-Edenai-Webhook": "true", "X-Edenai-Signature": "00"}):
                    async with ClientSession() as session, session.post(url, json=told, headers=forged) as refused:
                        assert refused.status == 401
                for delivery in (await c.ask("GET", DELIVERIES)).json["data"]:
                    assert (await c.ask("POST", f"{DELIVERIES}/{delivery['id']}/replay")).status == 202
                third = await c.submit(headers={"x-bf-async-webhook": url})
                assert json.loads(await printed.readline())["data"]["job_id"] == third

    run(main())

"""The requests of Eden AI's own pages, sent with curl to a server with the echo provider alone."""

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from .clients import client
from .universal import JOBS, PATH

#: By their page's words; each with the status of the answer, and what is in it.
EXAMPLES: dict[str, tuple[dict[str, Any], int, str]] = {
    "as it stands": (
        {"model": "<string>", "input": {}, "provider_params": {}, "show_original_response": False},
        400, "there is no feature '<string>'",
    ),
    "embeddings": (
        {"model": "text/embeddings/echo", "input": {"dimensions": 512, "texts": ["text1", "text2"]}},
        200, '"status":"success"',
    ),
    "an image": (
        {"model": "image/generation/echo", "input": {"text": "prompt", "resolution": "1024x1024"}},
        200, '"status":"success"',
    ),
    "an image with a fallback": (
        {
            "model": "image/generation/echo/status-400",
            "input": {"text": "prompt", "resolution": "1024x1024"},
            "fallbacks": ["image/generation/echo/echo"],
        },
        200, '"status":"success"',
    ),
    "a file that is none": (
        {"model": "ocr/ocr/amazon", "input": {"file_id": "abc123", "language": "en"}},
        422, '"loc":["body","input","file_id"]',
    ),
    "a provider that is not there": (
        {"model": "text/moderation/google", "input": {"text": "content to moderate"}},
        400, "'google' is not a configured provider; for text/moderation use echo",
    ),
    "a fallback that is not there": (
        {"model": "text/embeddings/echo", "input": {"texts": ["a"]}, "fallbacks": ["amazon", "openai/gpt-4"]},
        400, "fallbacks[0]: 'amazon' is not a configured provider",
    ),
    "a fallback of another feature": (
        {"model": "text/embeddings/echo", "input": {"texts": ["a"]}, "fallbacks": ["text/moderation/google"]},
        400, "a fallback is of the same feature, text/embeddings",
    ),
    "a feature that is not there": (
        {"model": "text/ai_detection/openai/gpt-4", "input": {"text": "Analyze this text for AI detection"}},
        400, "text has no subfeature 'ai_detection'; text has embeddings",
    ),
    "another": (
        {"model": "translation/document_translation/deepl", "input": {"file_id": "abc123", "target_language": "fr"}},
        400, "translation has no subfeature 'document_translation'",
    ),
    "a feature by the name it had": (
        {"model": "audio/text_to_speech/echo", "input": {"text": "hello"}},
        400, "audio has no subfeature 'text_to_speech'; audio has speech_to_text_async, tts",
    ),
}  # fmt: skip


async def curl(method: str, url: str, body: Any = None) -> tuple[int, str]:
    data = ["--data", orjson.dumps(body).decode()] if body is not None else []
    process = await asyncio.create_subprocess_exec(
        "curl", "-s", "-w", "%{http_code}", "--request", method, "--url", url,
        "--header", "Authorization: Bearer none-yet", "--header", "Content-Type: application/json", *data,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    text = out.decode()
    return int(text[-3:]), text[:-3]


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_succeeds_or_is_told_what_would_do(folder: Path, run: Any, title: str) -> None:
    async def main() -> None:
        body, status, part = EXAMPLES[title]
        async with client(folder) as c:
            asked = await curl("POST", c.served.url + PATH, body)
            assert asked[0] == status
            assert part in asked[1]
            created, text = await curl("POST", c.served.url + JOBS, body)
            assert created == (202 if status == 200 else status)
            if status != 200:
                assert text == asked[1]
                return
            (id,) = re.findall(r'"public_id":"([^"]+)"', text)
            while '"status":"processing"' in (polled := await curl("GET", f"{c.served.url}{JOBS}/{id}"))[1]:
                pass
            assert polled[0] == 200
            assert part in polled[1]
            assert (await curl("DELETE", f"{c.served.url}{JOBS}/{id}"))[0] == 200
            assert await curl("GET", f"{c.served.url}{JOBS}/{id}") == (404, '{"detail":"Job not found"}\n')

    run(main())

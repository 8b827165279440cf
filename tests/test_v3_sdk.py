"""The vendors' own packages, pointed to where Eden AI's users point them."""

from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from .clients import client
from .owners import AUTH
from .vendor_clients import NO_KEY, openai_client, to_openai

HELLO: Any = [{"role": "user", "content": "hello"}]


def test_the_openai_package_finds_chats_and_models_under_llm(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder, prefix="/v3/llm") as (o, _):
            chat = await o.chat.completions.create(model="echo/echo", messages=HELLO)
            assert chat.choices[0].message.content == "hello"
            assert [model.id async for model in o.models.list()] == ["echo/echo"]

    run(main())


def test_the_anthropic_package_finds_messages_under_v3(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with (
            client(folder) as c,
            anthropic.AsyncAnthropic(base_url=f"{c.served.url}/v3", api_key=NO_KEY, max_retries=0) as a,
        ):
            message = await a.messages.create(model="echo/echo", max_tokens=10, messages=HELLO)
            (block,) = message.content
            assert (block.type, getattr(block, "text", None)) == ("text", "hello")
            with pytest.raises(anthropic.NotFoundError, match="is not a configured provider"):
                await a.messages.create(model="nobody/x", max_tokens=10, messages=HELLO)

    run(main())


def test_errors_are_openais_there_and_edens_beside(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c, to_openai(c.served.url, "sk-bf-wrong", "/v3") as wrong:
            with pytest.raises(openai.AuthenticationError) as refused:
                await wrong.chat.completions.create(model="echo/echo", messages=HELLO)
            assert refused.value.code == "invalid_api_key"
            async with to_openai(c.served.url, "sk-bf-alice", "/v3") as o:
                with pytest.raises(openai.NotFoundError) as unknown:
                    await o.embeddings.create(model="nobody/x", input="hello")
                assert unknown.value.code == "model_not_found"
            beside = await c.ask("POST", "/v3/universal-ai", {})
            assert set(beside.json) == {"detail"}

    run(main())

"""`/v1/models`: what jobs can name, in the shapes of both vendors' lists."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web

from coatcheck.engine.calls import Offer
from coatcheck.handlers import catalogue
from coatcheck.schemas import models

from .clients import ECHO, client
from .servers import listening
from .vendor_clients import PREFIXES, anthropic_client, openai_client


class Shop:
    """An upstream that lists models."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.asked = 0
        self.began = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/v1/models", self._list)
        async with listening(app, shutdown_timeout=0.01, handler_cancellation=True) as url:
            yield f"{url}/v1"

    async def _list(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.began.set()
        await self.open.wait()
        data = [{"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "them"} for id in self.ids]
        return web.json_response({"object": "list", "data": data})


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_providers_models_are_listed_by_the_names_that_requests_use(folder: Path, run: Any, prefix: str) -> None:
    async def main() -> None:
        shop = Shop("gpt", "meta/llama 3")
        async with shop.served() as url:
            providers = {**ECHO, "up": {"kind": "openai", "base_url": url, "models": ["gpt"]}}
            async with openai_client(folder, providers=providers, prefix=prefix) as (o, _):
                listed = {model.id: model async for model in o.models.list()}
                assert set(listed) == {"echo/echo", "up/gpt", "up/meta/llama 3"}
                gpt: Any = listed["up/gpt"]
                assert (gpt.owned_by, gpt.created, gpt.aliases) == ("up", 1_700_000_000, ["gpt"])
                assert "chat/completions" in gpt.operations
                for name in ("up/gpt", "gpt", "up/meta/llama 3"):
                    found = await o.models.retrieve(name)
                    assert found.id in ("up/gpt", "up/meta/llama 3")
                with pytest.raises(openai.NotFoundError, match="there is no model 'up/other'") as raised:
                    await o.models.retrieve("up/other")
                assert raised.value.code == "model_not_found"

    run(main())


def test_a_name_that_two_providers_declare_is_no_alias(folder: Path, run: Any) -> None:
    async def main() -> None:
        providers = {"a": {"kind": "echo"}, "b": {"kind": "echo"}}
        async with client(folder, providers=providers) as c:
            listed = (await c.ask("GET", "/v1/models")).json["data"]
            assert [(model["id"], model["aliases"]) for model in listed] == [("a/echo", []), ("b/echo", [])]

    run(main())


def test_a_provider_is_asked_once_in_a_while_however_many_want_to_know(folder: Path, run: Any) -> None:
    async def main() -> None:
        shop = Shop("gpt")
        async with shop.served() as url, client(folder, providers={"up": {"kind": "openai", "base_url": url}}) as c:
            shop.open.clear()
            asking = [asyncio.create_task(c.ask("GET", "/v1/models")) for _ in range(5)]
            # One that leaves takes nothing from the others.
            await shop.began.wait()
            asking.pop().cancel()
            shop.open.set()
            answers = await asyncio.gather(*asking)
            assert {answer.text for answer in answers} == {answers[0].text}
            assert answers[0].json["data"][0]["id"] == "up/gpt"
            await c.ask("GET", "/openai/v1/models")
            assert shop.asked == 1

    run(main())


def test_a_provider_that_does_not_answer_is_there_with_what_it_declares(
    folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_PATIENCE_SECONDS", 0.1)

    async def main() -> None:
        slow = Shop("late")
        slow.open.clear()
        async with slow.served() as url:
            providers = {
                "slow": {"kind": "openai", "base_url": url, "models": ["declared"]},
                "gone": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["declared", "other"]},
                **ECHO,
            }
            async with client(folder, providers=providers) as c:
                listed = (await c.ask("GET", "/v1/models")).json["data"]
                ids = [model["id"] for model in listed]
                assert ids == ["slow/declared", "gone/declared", "gone/other", "echo/echo"]

    run(main())


def test_the_anthropic_package_lists_those_that_take_messages_page_by_page(folder: Path, run: Any) -> None:
    async def main() -> None:
        providers = {
            "echo": {"kind": "echo", "models": ["echo", "wait-1", "fail"]},
            "vectors": {
                "kind": "openai",
                "base_url": "http://127.0.0.1:9/v1",
                "models": ["v"],
                "operations": ["embeddings"],
            },
        }
        async with anthropic_client(folder, providers=providers) as (a, _):
            first = await a.models.list(limit=2)
            assert [model.id for model in first.data] == ["echo/echo", "echo/wait-1"]
            assert (first.has_more, first.first_id, first.last_id) == (True, "echo/echo", "echo/wait-1")
            assert [model.id async for model in a.models.list(limit=1)] == ["echo/echo", "echo/wait-1", "echo/fail"]
            before = await a.models.list(before_id="echo/fail", limit=1)
            assert ([model.id for model in before.data], before.has_more) == (["echo/wait-1"], True)
            one = await a.models.retrieve("echo/echo")
            assert (one.type, one.display_name, one.created_at.year) == ("model", "echo", 1970)
            with pytest.raises(anthropic.BadRequestError, match="after_id: there is no model 'nobody'"):
                await a.models.list(after_id="nobody")
            with pytest.raises(anthropic.BadRequestError, match="limit: expected a number from 1 to 1000"):
                await a.models.list(limit=0)
            with pytest.raises(anthropic.NotFoundError):
                await a.models.retrieve("nobody/claude")

    run(main())


def test_an_empty_page_has_no_ends() -> None:
    assert models.anthropic_page([], {}) == {"data": [], "has_more": False}


def test_what_is_not_known_of_a_model_is_left_out() -> None:
    offer = Offer(id="m", about="", license="MIT")
    shown = models.openai_model("p/m", "p", 0, [], [], {"about": offer.about, "license": offer.license})
    assert (shown.get("about"), shown["license"]) == (None, "MIT")

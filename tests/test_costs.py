"""What becomes of a cost: it is kept with the job and shown, and never a reason to lose an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp import web

from coatcheck.engine.calls import Call, CallPolicy, Reply, Usage
from coatcheck.engine.jobs import State

from .clients import client
from .jobs import found, opened, pooled, submission, until
from .servers import Upstream

Run = Callable[[Awaitable[Any]], Any]


def counting(**more: float) -> Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]:
    """An upstream's answers to chats, with 9 tokens in, 3 out, and what else its usage says."""

    async def answer(_request: dict[str, Any]) -> web.StreamResponse:
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, **more}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}
        return web.json_response({"object": "chat.completion", "model": "x", "choices": [choice], "usage": usage})

    return answer


class Vendor:
    """A provider that says what was used, and when told so, what it cost."""

    policy = CallPolicy(retries=0)
    lanes: ClassVar[Mapping[str, int]] = {"vendor": 1}
    models = ()

    def __init__(self, cost: int | None = None) -> None:
        self._cost = cost

    def lane(self, operation: str, model: str) -> str:
        return "vendor"

    def check(self, operation: str, model: str) -> str | None:
        return None

    def default(self, operation: str) -> str | None:
        return None

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> str:
        return "is there"

    async def offers(self) -> tuple[()]:
        return ()

    async def execute(self, call: Call) -> Reply:
        return Reply(result=b'{"a":1}', cost=self._cost, usage=Usage(images=2))


def test_a_job_keeps_what_its_call_cost(folder: Path, run: Run) -> None:
    asked_for: list[tuple[str, str, Usage | None]] = []

    async def price(provider: str, call: Call, reply: Reply) -> int | None:
        asked_for.append((provider, call.model, reply.usage))
        return 42

    async def main() -> None:
        async with opened(folder) as store:
            async with pooled(store, Vendor(), price=price) as pool:
                await pool.submit(asked := submission("m", provider="vendor"))
                assert (await until(store, asked.id)).job.cost == 42
                assert asked_for == [("vendor", "m", Usage(images=2))]
            async with pooled(store, Vendor(cost=7), price=price) as pool:
                await pool.submit(asked := submission("m", provider="vendor"))
                assert (await until(store, asked.id)).job.cost == 7
                assert len(asked_for) == 1

    run(main())


def test_a_cost_that_cannot_be_worked_out_loses_no_answer(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def price(provider: str, call: Call, reply: Reply) -> int | None:
        raise RuntimeError("the table is broken")

    async def main() -> None:
        async with opened(folder) as store, pooled(store, Vendor(), price=price) as pool:
            await pool.submit(asked := submission("m", provider="vendor"))
            ticket = await until(store, asked.id)
            assert (ticket.job.state, ticket.job.cost, ticket.body) == (State.COMPLETED, None, b'{"a":1}')

    with caplog.at_level(logging.ERROR):
        run(main())
    assert "what it has cost could not be worked out" in caplog.text


def test_a_stop_does_not_lose_an_answer_whose_cost_is_being_looked_up(folder: Path, run: Run) -> None:
    async def main() -> None:
        reached, release = asyncio.Event(), asyncio.Event()

        async def price(provider: str, call: Call, reply: Reply) -> int | None:
            reached.set()
            await release.wait()
            return 42

        async with opened(folder) as store:
            async with pooled(store, Vendor(), price=price) as pool:
                await pool.submit(asked := submission("m", provider="vendor"))
                await reached.wait()
                draining = asyncio.create_task(pool.drain(0))
                (attempt,) = pool._running.values()
                while not attempt.interrupted:
                    await store.alarms()
                release.set()
                await draining
            job = (await found(store, asked.id)).job
            assert (job.state, job.cost, job.attempt) == (State.COMPLETED, 42, 1)

    run(main())


def test_a_poll_shows_what_the_job_cost_as_a_decimal_string(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(counting()) as up:
            own = {"small": {"input_tokens": 0.15, "output_tokens": "0.6"}, "free": {"requests": 0}}
            providers = {
                "up": {"kind": "openai", "base_url": up.url, "prices": own},
                "mine": {"kind": "vllm", "base_url": up.url},
                "echo": {"kind": "echo"},
            }
            async with client(folder, providers=providers) as c:
                for model, cost in (
                    ("up/small", "0.00000315"),
                    ("up/free", "0"),
                    ("mine/small", "0"),
                    ("echo/echo", "0"),
                    ("up/other", None),
                ):
                    id = await c.submit("chat/completions", model)
                    shown = (await c.ended(id)).json
                    assert (shown["status"], shown.get("cost")) == ("completed", cost), model

    run(main())


def test_what_the_vendor_says_of_the_cost_stands_above_all_prices(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(counting(cost=0.0123)) as up:
            table = {"kind": "openrouter", "base_url": up.url, "prices": {"*": {"requests": 1}}}
            async with client(folder, providers={"up": {**table, "api_key_env": "COATCHECK_TEST_KEY"}}) as c:
                shown = (await c.ended(await c.submit("chat/completions", "up/openai/gpt-4o"))).json
                assert shown["cost"] == "0.0123"

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COATCHECK_TEST_KEY", "sk-test")
        run(main())

"""What looks at thousands of rows: it holds up no poll, and counts what a claim would take first."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.listing import Filter

from .jobs import add, found, opened, submission, take

Run = Callable[[Awaitable[Any]], Any]


def test_no_poll_waits_for_a_list_or_a_count(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, *(waiting := [submission() for _ in range(3)]))
            let, begun = asyncio.Event(), asyncio.Event()

            async def long(_db: Any, items: Sequence[None]) -> Sequence[None]:
                begun.set()
                await let.wait()
                return items

            search = store._searches.ask(long, None)
            await begun.wait()
            last = (await found(store, waiting[2].id)).job
            behind = [
                asyncio.ensure_future(store.page(Filter(), before=None, limit=20)),
                asyncio.ensure_future(store.ahead(last, 10)),
                asyncio.ensure_future(store.survey(["echo"])),
            ]
            try:
                assert (await found(store, waiting[0].id)).job.state == "pending"
                assert await store.request(1) is not None
                assert [one.done() for one in (search, *behind)] == [False] * 4
            finally:
                let.set()
            page, ahead, survey = await asyncio.gather(*behind)
            assert (len(page.jobs), ahead, set(survey.oldest)) == (3, 2, {"echo"})

    run(main())


@pytest.mark.parametrize("most", [1, 4, 100])
def test_ahead_of_a_job_are_those_that_are_claimed_before_it(folder: Path, run: Run, most: int) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            mine = [submission(priority=priority) for priority in (3, 0, 7, 3, 0, 3, 7, 1)]
            await add(store, *mine, *(submission(owner="key:bob", priority=0) for _ in range(3)))
            await add(store, submission("other/echo", priority=0), lane="other")
            jobs = [(await found(store, one.id)).job for one in mine]
            ahead = [await store.ahead(job, most) for job in jobs]
            claimed = [job.id for job in await take(store, count=len(mine))]
            assert ahead == [min(claimed.index(job.id), most) for job in jobs]

    run(main())

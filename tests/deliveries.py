"""What tests of deliveries need: jobs with hooks that end, and a deliverer that runs on a store."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from coatcheck.engine.clock import Clock
from coatcheck.engine.deliveries import Delivery, DeliveryFilter
from coatcheck.engine.fetch import Fetch
from coatcheck.engine.hooks import Endpoint
from coatcheck.engine.jobs import Hook, Outcome
from coatcheck.engine.settings import DeliverySettings
from coatcheck.engine.signatures import EdenKey
from coatcheck.engine.store import Store
from coatcheck.engine.webhooks import Deliverer

from .jobs import add, completed, submission, take


def to(url: str | None = None, endpoint: str | None = None) -> Hook:
    return Hook(endpoint, url)


async def ended(store: Store, *hooks: Hook, owner: str = "key:alice", dialect: str = "v1", **more: Any) -> list[str]:
    """The ids of jobs with these hooks, which have been completed."""
    outcome: Outcome = more.pop("outcome", None) or completed()
    asked = [submission(owner=owner, **more)._replace(hook=hook, dialect=dialect) for hook in hooks]
    await add(store, *asked)
    jobs = await take(store, owner, len(asked))
    assert all(await asyncio.gather(*(store.finish(job, outcome) for job in jobs)))
    return [one.id for one in asked]


async def every(store: Store, **narrow: Any) -> list[Delivery]:
    """The deliveries, oldest first."""
    found = await store.outbox.deliveries(DeliveryFilter(**narrow), before=None, limit=100_000)
    return found[::-1]


async def settled(store: Store, job_id: str, state: str = "delivered", tries: int | None = None) -> Delivery:
    """The job's delivery, once it is in that state and has been tried so often."""
    async with asyncio.timeout(30):
        while True:
            (found,) = await every(store, job_id=job_id)
            if found.state == state and tries in (None, found.tries):
                return found


@asynccontextmanager
async def delivering(
    store: Store,
    folder: Path,
    clock: Clock | None = None,
    *,
    endpoints: Mapping[str, Endpoint] | None = None,
    allow_private: bool = True,
    fetch: Fetch | None = None,
    **settings: Any,
) -> AsyncIterator[Deliverer]:
    """A deliverer that runs; its chance is always the same, so that the longest waits are known."""
    fetch = fetch or Fetch(allow_private=allow_private)
    await fetch.start()
    deliverer = Deliverer(
        store.outbox,
        fetch,
        clock or Clock(),
        store.meters,
        DeliverySettings(**settings),
        endpoints=endpoints or {},
        key=EdenKey(folder / "webhook-key.pem"),
        chance=lambda: 0.0,
    )
    running = asyncio.create_task(deliverer.run())
    try:
        yield deliverer
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await fetch.close()

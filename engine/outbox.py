"""What is to be told of jobs that have ended, whom, and with which secrets; a part of the store (`store.outbox`)."""

import asyncio
from collections.abc import Sequence

from . import delivery_table, secret_table
from .batches import Batches
from .clock import Clock
from .deliveries import Delivery, DeliveryFilter, Queue, Verdict
from .hooks import Arrivals
from .jobs import SECOND, Hook
from .signatures import Secret, new_secret

#: Deliveries that one transaction makes due again.
_REPLAYED_AT_ONCE = 500


class Outbox:
    """Every write is answered after its commit, as the store's."""

    def __init__(self, writes: Batches, reads: Batches, searches: Batches, clock: Clock) -> None:
        self._writes = writes
        self._reads = reads
        self._searches = searches
        self._clock = clock
        #: What statements that end jobs take with them; `arrivals.announce` makes the notices.
        self.arrivals = Arrivals()
        #: Set after a commit that brought something to be sent; `arrivals.taken` says to whom.
        self.wake = asyncio.Event()

    def committed(self) -> None:
        """To be called after each commit."""
        if self.arrivals.commit():
            self.wake.set()

    async def hook(self, seq: int) -> Hook | None:
        """Who is told of that job's end; None: nobody, or the job is gone."""
        return await self._reads.ask(delivery_table.hooks, seq)

    async def deliveries(self, filter: DeliveryFilter, *, before: int | None, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries from before the seq `before` (None: now), newest first, without their payloads."""
        return await self._searches.ask(delivery_table.pages, (filter, before, limit))

    async def delivery(self, id: str, owner: str | None) -> Delivery | None:
        """One delivery with its payload; None if it is unknown or another owner's (`owner` None: any)."""
        return await self._reads.ask(delivery_table.find, (id, owner))

    async def replay(self, filter: DeliveryFilter, ids: Sequence[str] | None = None) -> int:
        """Makes deliveries due now that have ended or are due later: those that the filter fits and that, unless `ids`
        is None, have one of these ids. How many they were."""
        count, after = 0, 0
        while True:
            item = delivery_table.Replay(filter, ids, after, _REPLAYED_AT_ONCE, self._clock.now(), self.arrivals)
            seqs = await self._writes.ask(delivery_table.replay, item)
            count += len(seqs)
            if len(seqs) < _REPLAYED_AT_ONCE:
                return count
            after = seqs[-1]

    async def queues(self) -> list[Queue]:
        """Every owner's deliveries that are due, by receiver."""
        return await self._searches.ask(delivery_table.queues, None)

    async def next(self, owner: str, receiver: str, now: int, under_way: Sequence[int]) -> delivery_table.Next | None:
        """The first of a queue that is not under way, without its payload if its time has not come by `now`; None:
        there is none."""
        return await self._reads.ask(delivery_table.first, (owner, receiver, now, under_way))

    async def settle(self, verdict: Verdict) -> None:
        """What an attempt has come to. What was delivered is delivered, whatever else was decided meanwhile."""
        await self._writes.ask(delivery_table.settle, verdict)

    async def give_up(self, delivery: Delivery, reason: str) -> int:
        """due → dead, for all that goes where this delivery goes (an endpoint, or an address that its owner gave); an
        endpoint is switched off. How many they were."""
        return await self._writes.ask(delivery_table.give_up, (delivery, reason, self._clock.now()))

    async def hasten(self, horizon: int) -> None:
        """What is due later than that is due now: a moment so far off is the trace of a clock that went back."""
        await self._writes.ask(delivery_table.hasten, (horizon, self._clock.now()))

    async def forget(self, keep_seconds: float, most: int) -> int:
        """Removes up to that many deliveries that ended so long ago; how many they were."""
        moment = self._clock.expiry() - int(keep_seconds * SECOND)
        return await self._writes.ask(delivery_table.forget, (moment, most))

    async def secret(self, subject: str) -> Secret:
        """What a subject's deliveries are signed with: "endpoint:NAME", or "owner:OWNER" for addresses that owners
        give. It is made when it is first asked for."""
        found = await self._reads.ask(secret_table.find, subject)
        if found is None:
            item = secret_table.Made(subject, new_secret(), self._clock.now())
            found = await self._writes.ask(secret_table.make, item)
        return found

    async def rotate_secret(self, subject: str, overlap_seconds: float) -> Secret:
        """A new secret; the one before is signed with as well for so many seconds."""
        now = self._clock.now()
        item = secret_table.Made(subject, new_secret(), now, now + int(overlap_seconds * SECOND))
        return await self._writes.ask(secret_table.rotate, item)

    async def endpoints_off(self) -> dict[str, tuple[int, str]]:
        """The endpoints that were switched off: since when, and why."""
        return await self._reads.ask(secret_table.endpoints_off, None)

    async def endpoint_on(self, name: str) -> bool:
        """Switches it on again. False if it is."""
        return await self._writes.ask(secret_table.endpoint_on, name)

"""Sends deliveries: at least once, again and again until they are taken or too old, and to nobody at others' cost.

| the receiver                                    | then                                          |
|-------------------------------------------------|-----------------------------------------------|
| answers 2xx                                     | delivered                                     |
| answers 408, 409, 425, 429 or 5xx               | again later; nothing before its Retry-After   |
| does not answer in time, or cannot be reached   | again later                                   |
| leads to an address that is not dialled         | again later; dead if it can lead nowhere else |
| answers 410                                     | dead, with all that would go there            |
| answers otherwise, or redirects                 | dead                                          |

What is under way is known in memory alone, and an attempt is counted when it has been answered: a process that is
killed leaves the delivery due, and the next one sends it again.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import Context

from .clock import Clock
from .deliveries import DEAD, DELIVERED, DUE, MAX_DELAY_SECONDS, Delivery, Verdict, backoff
from .delivery_table import Next
from .errors import CoatcheckError
from .fetch import AddressRefused, Fetch, FetchFailed
from .hooks import Endpoint
from .jobs import SECOND
from .meters import Meters
from .outbox import Outbox
from .rounds import Rounds, Turn
from .settings import DeliverySettings
from .signatures import EdenKey, standard

log = logging.getLogger(__name__)

_AGAIN = frozenset({408, 409, 425, 429})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = 410
#: The longest sleep, so that a clock that jumps is noticed; and the shortest between two looks at all that is due.
_MAX_NAP_SECONDS, _MIN_NAP_SECONDS = 30.0, 0.05
#: Seconds after the store refused.
_STORE_AGAIN_SECONDS = 2.0
#: How long a stop begins deliveries, and waits for what is under way.
_LAST_SECONDS, _GRACE_SECONDS = 1.0, 5.0
#: The longest that a receiver's Retry-After holds up other deliveries than the one that it was asked with.
_MAX_QUIET_SECONDS = 3600.0
#: A larger payload is signed in a thread.
_SMALL_BYTES = 262_144


class Deliverer:
    def __init__(
        self,
        outbox: Outbox,
        fetch: Fetch,
        clock: Clock,
        meters: Meters,
        settings: DeliverySettings,
        *,
        endpoints: Mapping[str, Endpoint],
        key: EdenKey,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`endpoints`: those of the configuration, by their names; `key` signs what goes out in v3's words."""
        self._outbox = outbox
        self._fetch = fetch
        self._clock = clock
        self._meters = meters
        self._endpoints = endpoints
        self._key = key
        self._timeout = settings.timeout_seconds
        self._retry = int(settings.retry_seconds * SECOND)
        self._chance = chance
        self._rounds = Rounds(settings.concurrency, settings.receiver_concurrency)
        self._under_way: dict[int, asyncio.Task[None]] = {}
        #: Until when receivers want to be left alone, by owner: one that is many people's may say so to each.
        self._quiet: dict[tuple[str, str], int] = {}
        #: When the next look at all that is due is, the first at once; and the earliest moment for it.
        self._look_at: int | None = 0
        self._look_from = 0

    async def run(self) -> None:
        """Sends what is due until it is cancelled; then waits a moment for what is under way. What is not answered by
        then stays due."""
        try:
            while True:
                try:
                    await self._send()
                    await self._nap()
                except Exception as error:
                    # Without this loop nobody would be told of anything.
                    known = isinstance(error, CoatcheckError)
                    log.error("deliveries could not be looked up: %s", error, exc_info=not known)
                    await asyncio.sleep(_STORE_AGAIN_SECONDS)
        finally:
            await self._close()

    async def _send(self) -> None:
        """Begins what can be begun."""
        if self._look_at is not None and self._look_at <= self._clock.now():
            await self._look()
        for owner, receiver in self._outbox.arrivals.taken():
            self._rounds.arrive(owner, receiver)
        while turn := self._rounds.next():
            quiet = self._quiet_until(turn)
            if quiet is not None:
                self._rounds.end(turn, None)
                self._due(quiet)
                continue
            try:
                found = await self._outbox.next(turn.owner, turn.receiver, self._clock.now(), list(self._under_way))
            except BaseException:
                self._rounds.end(turn, None)
                self._rounds.arrive(turn.owner, turn.receiver)
                raise
            if found is None or found.delivery.payload is None:
                self._rounds.end(turn, None)
                if found is not None:
                    self._due(found.delivery.next_at)
                continue
            self._rounds.arrive(turn.owner, turn.receiver)
            # In a context of its own: what it logs is not about what woke this loop.
            self._under_way[found.delivery.seq] = asyncio.create_task(
                self._deliver(turn, found), name="coatcheck delivery", context=Context()
            )

    def _quiet_until(self, turn: Turn) -> int | None:
        """None: it may be sent something now."""
        until, now = self._quiet.get(turn[:2], 0), self._clock.now()
        # A moment so far off is the trace of a clock that went back.
        if now < until <= now + int(_MAX_QUIET_SECONDS * SECOND):
            return until
        self._quiet.pop(turn[:2], None)
        return None

    async def _look(self) -> None:
        """Finds all receivers for which something is due, and when something is next."""
        now, began = self._clock.now(), asyncio.get_running_loop().time()
        # Nothing is put off for longer than the longest wait there can be: what is, is so by a clock that went back.
        horizon = now + max(self._retry, int(MAX_DELAY_SECONDS * SECOND))
        queues = await self._outbox.queues()
        if any(queue.last_at > horizon for queue in queues):
            await self._outbox.hasten(horizon)
            queues = await self._outbox.queues()
        self._look_at, took = None, asyncio.get_running_loop().time() - began
        # One at a hundred thousand receivers takes a second.
        self._look_from = self._clock.now() + int(4 * took * SECOND)
        for queue in queues:
            if queue.first_at <= now:
                self._rounds.arrive(queue.owner, queue.receiver)
            else:
                self._due(queue.first_at)

    def _due(self, moment: int) -> None:
        moment = max(moment, self._look_from)
        self._look_at = moment if self._look_at is None else min(moment, self._look_at)

    async def _nap(self) -> None:
        """Returns when something has arrived or ended, when something is due, or when half a minute has passed."""
        nap = _MAX_NAP_SECONDS
        if self._look_at is not None:
            nap = min(max((self._look_at - self._clock.now()) / SECOND, _MIN_NAP_SECONDS), nap)
        try:
            async with asyncio.timeout(nap):
                await self._outbox.wake.wait()
        except TimeoutError:
            self._look_at = 0
        self._outbox.wake.clear()

    async def _close(self) -> None:
        with suppress(CoatcheckError, TimeoutError):
            # Of the jobs that ended last, nothing may have been begun yet.
            async with asyncio.timeout(_LAST_SECONDS):
                await self._send()
        if not self._under_way:
            return
        _, left = await asyncio.wait(self._under_way.values(), timeout=_GRACE_SECONDS)
        for task in left:
            task.cancel()
        if left:
            log.info("%d deliveries that were under way are sent again at the next start", len(left))
            await asyncio.wait(left)

    async def _deliver(self, turn: Turn, found: Next) -> None:
        sound: bool | None = None
        try:
            verdict = await self._verdict(found)
            sound = verdict.state == DELIVERED
            await self._settle(found.delivery, verdict)
        finally:
            del self._under_way[found.delivery.seq]
            self._rounds.end(turn, sound)
            self._outbox.wake.set()

    async def _settle(self, delivery: Delivery, verdict: Verdict) -> None:
        """Writes it down, however long that takes: what is not, is sent again."""
        while True:
            try:
                await self._outbox.settle(verdict)
                others = 0
                if verdict.status_code == _GONE:
                    others = await self._outbox.give_up(delivery, "the receiver answered 410: it is gone for good")
                break
            except CoatcheckError as error:
                log.warning("delivery %s: what has become of it cannot be kept: %s", delivery.id, error)
                await asyncio.sleep(_STORE_AGAIN_SECONDS)
        if verdict.state == DUE:
            self._due(verdict.next_at)
        self._meters.deliveries.add("failed" if verdict.state == DUE else verdict.state)
        about = (delivery.id, delivery.job_id, delivery.receiver)
        more = {"job_id": delivery.job_id}
        if verdict.state == DEAD:
            log.warning("delivery %s of job %s to %s is a dead letter: %s", *about, verdict.error, extra=more)
        elif verdict.state == DUE:
            # Once for each delivery that there is trouble, and not with every try of three days.
            level = logging.DEBUG if delivery.tries else logging.INFO
            log.log(level, "delivery %s of job %s to %s is tried again: %s", *about, verdict.error, extra=more)
        else:
            log.debug("delivery %s of job %s to %s is made", *about, extra=more)
        if verdict.status_code == _GONE and delivery.endpoint is not None:
            log.warning("endpoint %s is switched off until an admin enables it: it answered 410", delivery.endpoint)
        if others:
            self._meters.deliveries.add(DEAD, count=others)
            log.warning("%d more deliveries to %s are dead letters: it answered 410", others, delivery.receiver)

    async def _verdict(self, found: Next) -> Verdict:
        delivery = found.delivery
        endpoint = self._endpoints.get(delivery.endpoint or "")
        if delivery.endpoint is not None and (found.off is not None or endpoint is None):
            why = "is not in the configuration" if found.off is None else f"is switched off: {found.off}"
            return self._dead(delivery, None, f"the endpoint {why}", tried=False)
        url = endpoint.url if endpoint is not None else delivery.url or ""
        body = delivery.payload or b""
        try:
            answer = await self._fetch.post(
                url,
                headers=await self._headers(delivery, endpoint, body),
                body=body,
                timeout_seconds=self._timeout,
                allow_private=endpoint.allow_private if endpoint is not None else None,
            )
        except FetchFailed as error:
            why = f"the receiver {error.message}"
            if isinstance(error, AddressRefused) and error.final:
                return self._dead(delivery, None, why)
            return self._later(delivery, None, why)
        except CoatcheckError as error:
            return self._later(delivery, None, f"it could not be sent: {error.message}")
        except Exception:
            log.exception("delivery %s could not be sent", delivery.id)
            return self._later(delivery, None, "it could not be sent; the server's log says why")
        if 200 <= answer.status < 300:
            now = self._clock.now()
            return Verdict(delivery.seq, DELIVERED, now, now, status_code=answer.status)
        why = f"the receiver answered {answer.status}"
        if answer.status in _AGAIN or answer.status >= 500:
            return self._later(delivery, answer.status, why, answer.retry_after or 0.0)
        redirected = answer.status in _REDIRECTS
        return self._dead(delivery, answer.status, f"{why}: redirects are not followed" if redirected else why)

    def _dead(self, delivery: Delivery, status: int | None, why: str, *, tried: bool = True) -> Verdict:
        now = self._clock.now()
        return Verdict(delivery.seq, DEAD, now, now, tried, status, why)

    def _later(self, delivery: Delivery, status: int | None, why: str, at_least_seconds: float = 0.0) -> Verdict:
        """Due again; or dead, if this was the last try, which is when its time is over."""
        left = min(delivery.due_since + self._retry - self._clock.expiry(), self._retry)
        if left <= 0:
            return self._dead(delivery, status, why)
        wait = max(backoff(delivery.tries + 1, self._chance), at_least_seconds) * SECOND
        now = self._clock.now()
        if at_least_seconds > 0:
            quiet = now + int(min(at_least_seconds, _MAX_QUIET_SECONDS) * SECOND)
            self._quiet[delivery.owner, delivery.receiver] = quiet
        return Verdict(delivery.seq, DUE, now, now + int(min(wait, left)), True, status, why)

    async def _headers(self, delivery: Delivery, endpoint: Endpoint | None, body: bytes) -> dict[str, str]:
        if delivery.dialect == "v3":
            return {
                "Content-Type": "application/json",
                "User-Agent": "EdenAI/Ai-Features",
                "X-Edenai-Webhook": "true",
                "X-Edenai-Signature": await asyncio.to_thread(self._key.sign, body),
                "X-Edenai-Hash-Algorithm": "SHA256",
                "webhook-id": delivery.id,
            }
        now = self._clock.now()
        secrets = endpoint.secrets if endpoint is not None else ()
        if not secrets:
            named = f"endpoint:{delivery.endpoint}" if endpoint is not None else f"owner:{delivery.owner}"
            secrets = (await self._outbox.secret(named)).valid(now)
        signed = delivery.id, now // SECOND, body, secrets
        return {
            "Content-Type": "application/json",
            "User-Agent": "Coatcheck-Webhooks/1.0",
            "X-Bifrost-Event": delivery.event,
            **(standard(*signed) if len(body) <= _SMALL_BYTES else await asyncio.to_thread(standard, *signed)),
        }

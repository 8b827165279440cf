"""The clients of a storm: each does one thing after another, chosen by chance, until the server is gone."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from .chats import Chat, chosen
from .ledger import Entry, Fault, Ledger

CHATS = "/v1/async/chat/completions"
JOBS = "/v1/async/jobs"

#: Of the newest jobs, so many are looked for in the list.
_LISTED = 150
#: Refusals of a server that stops, or whose disk is full.
_REFUSED = frozenset({"unavailable", "store_unavailable"})


@dataclass(frozen=True, kw_only=True)
class Answer:
    #: The method and the path.
    asked: str
    status: int
    headers: Mapping[str, str]
    json: Any


class Client:
    """Speaks to one life of the server."""

    def __init__(self, session: aiohttp.ClientSession, ledger: Ledger, chance: random.Random) -> None:
        self._session = session
        self._ledger = ledger
        self._chance = chance
        self._acts: dict[Callable[[], Awaitable[object]], int] = {
            self.submit: 25,
            self._repeat_unanswered: 8,
            self._repeat_known: 5,
            self._reuse_key: 1,
            self._poll_any: 30,
            self._wait_any: 6,
            self._cancel_any: 6,
            self._delete_any: 4,
            self._retry_any: 4,
            self._list_newest: 1,
        }

    async def live(self) -> None:
        """Acts until the server is gone."""
        try:
            while True:
                (act,) = self._chance.choices(list(self._acts), list(self._acts.values()))
                await act()
        except aiohttp.ClientError:
            return

    async def poll(self, entry: Entry, wait_seconds: int = 0) -> bool:
        """Whether the job has ended, or is gone."""
        knew = entry.knows()
        headers = {"Prefer": f"wait={wait_seconds}"} if wait_seconds else {}
        if entry.etag is not None and self._chance.random() < 0.5:
            headers["If-None-Match"] = entry.etag[0]
        asked = entry.etag
        answer = await self._ask("GET", f"{CHATS}/{entry.id}", headers)
        if answer.status == 304:
            return self._unchanged(entry, asked, knew.ended)
        ended = self._ledger.hear(entry, knew, answer.status, answer.json)
        if "ETag" in answer.headers:
            entry.etag = (answer.headers["ETag"], ended)
        return ended

    async def end(self, entry: Entry) -> None:
        """Polls until the job has ended, and once more."""
        while not await self.poll(entry, wait_seconds=1):
            pass
        entry.etag = None
        await self.poll(entry)

    async def walk(self, wanted: set[str]) -> None:
        """Looks for jobs in the list, newest first: each is there once, unless it is deleted meanwhile."""
        seen: set[str] = set()
        before = {id for id in wanted if self._ledger.entries[id].deleted}
        wanted = wanted - before
        cursor: str | None = ""
        while cursor is not None and not wanted <= seen:
            answer = await self._ask("GET", JOBS, query={"limit": "100"} | ({"cursor": cursor} if cursor else {}))
            if self._refused(answer, 200):
                return
            page = [job["id"] for job in answer.json["data"]]
            if seen & set(page) or len(set(page)) < len(page):
                self._ledger.fault(Fault.WRONG, f"a list has jobs twice: {seen & set(page) or page}")
            if before & set(page):
                self._ledger.fault(Fault.WRONG, f"a list has deleted jobs: {before & set(page)}")
            seen.update(page)
            cursor = answer.json.get("next")
        for id in wanted - seen:
            if not self._ledger.entries[id].deletes:
                self._ledger.fault(Fault.LOST, f"job {id} was accepted and is not in the list")
        self._ledger.counts["lists"] += 1

    async def submit(self) -> Entry | None:
        """A new job; None if the server could not take it."""
        chat = chosen(self._chance, self._ledger.receiver)
        self._ledger.wanted[chat.text] += 1
        return await self._submit(chat, {"Prefer": "wait=1"} if self._chance.random() < 0.1 else {})

    async def _submit(self, chat: Chat, more: Mapping[str, str] | None = None) -> Entry | None:
        known = chat.key in self._ledger.keys
        try:
            answer = await self._ask("POST", CHATS, {**chat.headers, **(more or {})}, chat.body)
        except aiohttp.ClientError:
            if chat.key is not None and chat.key not in self._ledger.keys:
                self._ledger.unanswered.append(chat)
            raise
        if self._refused(answer, 200, 202):
            return None
        entry = self._ledger.accept(chat, answer.json["id"])
        if answer.headers.get("Idempotency-Replayed") == "true":
            self._ledger.counts["replays"] += 1
        elif known:
            self._ledger.fault(Fault.WRONG, f"a repeat of job {entry.id} does not say that it is one")
        if answer.status == 200:
            self._ledger.hear_end(entry, answer.json)
        return entry

    async def _repeat_unanswered(self) -> None:
        """What had no answer is sent again, and half the time twice in the same instant."""
        if self._ledger.unanswered:
            chat = self._ledger.unanswered.pop(self._chance.randrange(len(self._ledger.unanswered)))
            self._ledger.counts["repeats of what had no answer"] += 1
            await _all(self._submit(chat) for _ in range(self._chance.choice((1, 2))))

    async def _repeat_known(self) -> None:
        if self._ledger.keys:
            await self._submit(self._ledger.keys[self._chance.choice(list(self._ledger.keys))].chat)

    async def _reuse_key(self) -> None:
        """A key stands for one request: another under it is refused."""
        if self._ledger.keys:
            key = self._chance.choice(list(self._ledger.keys))
            other = Chat(model="echo/echo", text="another question", key=key)
            answer = await self._ask("POST", CHATS, other.headers, other.body)
            if not self._refused(answer, 422):
                self._ledger.counts["keys reused"] += 1

    async def _poll_any(self) -> None:
        if entry := self._any():
            await self.poll(entry)

    async def _wait_any(self) -> None:
        if entry := self._any():
            await self.poll(entry, wait_seconds=1)

    async def _cancel_any(self) -> None:
        if entry := self._any():
            entry.cancelling = True
            knew = entry.knows()
            answer = await self._ask("POST", f"{JOBS}/{entry.id}/cancel")
            if self._refused(answer, 200, 404, 409):
                return
            self._ledger.counts["cancels"] += 1
            if answer.status == 200:
                entry.cancelled = True
            if answer.status != 409:
                self._ledger.hear(entry, knew, answer.status, answer.json)

    async def _delete_any(self) -> None:
        if entry := self._any():
            knew = entry.knows()
            # Before the answer: it may be swallowed, and others may ask meanwhile.
            entry.deletes += 1
            answer = await self._ask("DELETE", f"{JOBS}/{entry.id}")
            if answer.status == 204:
                self._ledger.counts["deletes"] += 1
                entry.deleted = True
            elif answer.status == 404 and entry.deletes == 1:
                self._ledger.fault(Fault.LOST, f"job {entry.id} was accepted and is unknown to a delete")
            elif not self._refused(answer, 404, 409):
                entry.deletes -= 1
                if answer.status == 409 and knew.ended:
                    self._ledger.fault(Fault.TWICE, f"job {entry.id} had ended; a delete was told that it has not")

    async def _retry_any(self) -> None:
        entry = self._any()
        if entry is None or entry.outcome is None or entry.outcome["status"] != "failed" or entry.parent is not None:
            return
        again = replace(entry.chat, key=None)
        self._ledger.wanted[again.text] += 1
        answer = await self._ask("POST", f"{JOBS}/{entry.id}/retry", again.headers)
        if self._refused(answer, 202, 404):
            return
        if answer.status == 202:
            self._ledger.counts["retries"] += 1
            self._ledger.accept(again, answer.json["id"], parent=entry.id)
        elif not entry.deletes:
            self._ledger.fault(Fault.LOST, f"job {entry.id} was accepted and is unknown to a retry")

    async def _list_newest(self) -> None:
        await self.walk(set(list(self._ledger.entries)[-_LISTED:]))

    def _any(self) -> Entry | None:
        """One of the newest jobs, or of all."""
        ids = list(self._ledger.entries)
        if self._chance.random() < 0.7:
            ids = ids[-100:]
        return self._ledger.entries[self._chance.choice(ids)] if ids else None

    def _unchanged(self, entry: Entry, asked: tuple[str, bool] | None, knew_end: bool) -> bool:
        self._ledger.counts["polls"] += 1
        self._ledger.counts["polls answered 304"] += 1
        if asked is None:
            self._ledger.fault(Fault.WRONG, f"a poll of job {entry.id} without an ETag was answered 304")
            return False
        if knew_end and not asked[1]:
            self._ledger.fault(Fault.TWICE, f"job {entry.id} had ended, and is said to be as it was before")
        return asked[1]

    def _refused(self, answer: Answer, *expected: int) -> bool:
        """Whether the server could not do it; anything but that and what is expected is a fault."""
        if answer.status in expected:
            return False
        code = answer.json["error"].get("code") if isinstance(answer.json, dict) and "error" in answer.json else None
        if self._ledger.rough and answer.status == 503 and code in _REFUSED:
            self._ledger.counts["refusals"] += 1
        else:
            self._ledger.fault(Fault.WRONG, f"{answer.asked} was answered {answer.status}: {answer.json}")
        return True

    async def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        async with self._session.request(method, path, headers=headers, json=body, params=query) as response:
            found = None if response.status in (204, 304) else await response.json()
            return Answer(asked=f"{method} {path}", status=response.status, headers=response.headers, json=found)


async def _all(asked: Any) -> None:
    """Waits for all of them, and raises what the first to fail raised."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    for error in found:
        if isinstance(error, BaseException):
            raise error

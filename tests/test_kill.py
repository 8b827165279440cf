"""`kill -9` of a real server at random moments under load: what was answered 202 ends, once, and stays as it ended.

Five rounds by default; COATCHECK_KILL_ROUNDS asks for more.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from .jobs import ended_once, rows
from .servers import ServerProcess

Run = Callable[[Awaitable[Any]], Any]

ROUNDS = int(os.environ.get("COATCHECK_KILL_ROUNDS", "5"))

MODELS = ("echo", "echo", "wait-0.05", "wait-0.3", "flaky-1", "status-400")
CHATS = "/v1/async/chat/completions"
#: What a poll says of a job that has ended, and must go on to say.
OUTCOME = ("status", "state", "status_code", "completed_at", "expires_at", "result", "error")


class Ledger:
    """What the server has said, written down by its clients as they hear it."""

    def __init__(self) -> None:
        #: The model of every job that was answered 202.
        self.accepted: dict[str, str] = {}
        self.outcomes: dict[str, dict[str, Any]] = {}
        #: Jobs whose cancel was answered with success.
        self.cancelled: set[str] = set()
        self.answers: Counter[str] = Counter()

    def hear(self, id: str, status: int, ticket: dict[str, Any]) -> bool:
        """Notes the answer to a poll; whether the job has ended."""
        self.answers["polls"] += 1
        assert status != 404, f"job {id} was accepted and is unknown"
        if status == 202:
            assert id not in self.outcomes, f"job {id} had ended, and is {ticket['status']} again"
            return False
        assert status == 200, ticket
        outcome = {key: ticket[key] for key in OUTCOME if key in ticket}
        known = self.outcomes.setdefault(id, outcome)
        assert outcome == known, f"the outcome of job {id} has changed"
        return True


class Client:
    """Speaks to one life of the server, until it is killed."""

    def __init__(self, session: aiohttp.ClientSession, ledger: Ledger, chance: random.Random) -> None:
        self._session = session
        self._ledger = ledger
        self._chance = chance

    async def submit(self) -> None:
        model = self._chance.choice(MODELS)
        text = f"question {self._chance.randrange(10**9)}"
        body = {"model": f"echo/{model}", "messages": [{"role": "user", "content": text}]}
        async with self._session.post(CHATS, json=body) as response:
            ticket = await response.json()
            assert response.status == 202, ticket
            self._ledger.accepted[ticket["id"]] = text if model != "status-400" else ""

    async def poll(self, id: str) -> bool:
        async with self._session.get(f"{CHATS}/{id}") as response:
            return self._ledger.hear(id, response.status, await response.json())

    async def cancel(self, id: str) -> None:
        async with self._session.post(f"/v1/async/jobs/{id}/cancel") as response:
            answer = await response.json()
            assert response.status in (200, 409), answer
            if response.status == 200:
                self._ledger.cancelled.add(id)
                self._ledger.hear(id, 200, answer)

    async def load(self) -> None:
        """Submits, polls and cancels until the server is gone."""
        try:
            while True:
                await self.submit()
                id = self._chance.choice(list(self._ledger.accepted))
                await self.poll(id)
                if self._chance.random() < 0.1:
                    await self.cancel(id)
        except aiohttp.ClientError:
            return


def test_no_kill_loses_a_job_or_changes_an_outcome(folder: Path, run: Run) -> None:
    async def main() -> None:
        seed = random.randrange(10**6)
        print(f"seed {seed}")
        chance, ledger = random.Random(seed), Ledger()
        server = ServerProcess(folder, {"providers": {"echo": {"kind": "echo", "concurrency": 20}}})
        for _ in range(ROUNDS):
            await server.start()
            async with aiohttp.ClientSession(base_url=server.url) as session:
                clients = [asyncio.create_task(Client(session, ledger, chance).load()) for _ in range(8)]
                # Not to wait for something: the moment of the kill is what is random.
                await asyncio.sleep(chance.uniform(0.01, 0.6))
                await server.kill9()
                await asyncio.gather(*clients)

        async with server, aiohttp.ClientSession(base_url=server.url) as session:
            client = Client(session, ledger, chance)
            async with asyncio.timeout(120):
                for id in ledger.accepted:
                    while not await client.poll(id):
                        pass
                # And so must those whose 202 the kill swallowed.
                while rows(folder / "coatcheck.db", "SELECT 1 FROM job WHERE completed_at IS NULL LIMIT 1"):
                    await client.poll(id)
            assert await server.terminate() == 0
        check_outcomes(ledger)
        ended_once(folder / "coatcheck.db", ids(folder))
        assert min(ledger.answers["polls"], len(ledger.cancelled), len(ledger.accepted)) > 0
        print(f"{ROUNDS} kills, {len(ledger.accepted)} jobs accepted, {dict(statistics(folder))}")

    run(main())


def ids(folder: Path) -> set[str]:
    return {id for (id,) in rows(folder / "coatcheck.db", "SELECT id FROM job")}


def check_outcomes(ledger: Ledger) -> None:
    """Every job ended as its model says, or cancelled if it was told so."""
    assert set(ledger.outcomes) == set(ledger.accepted)
    for id, outcome in ledger.outcomes.items():
        text = ledger.accepted[id]
        if outcome.get("state") == "cancelled":
            # A cancel whose answer the kill swallowed counts too.
            assert (outcome["status"], outcome["status_code"]) == ("failed", 499)
        elif text:
            assert outcome["status"] == "completed", outcome
            assert outcome["result"]["choices"][0]["message"]["content"] == text, "another job's result"
        else:
            assert (outcome["status"], outcome["status_code"]) == ("failed", 400)
    cancelled = {id for id, outcome in ledger.outcomes.items() if outcome.get("state") == "cancelled"}
    assert ledger.cancelled <= cancelled


def statistics(folder: Path) -> Counter[str]:
    path = folder / "coatcheck.db"
    found = Counter(dict(rows(path, "SELECT state, COUNT(*) FROM job GROUP BY state")))
    found["interrupted"] = rows(path, "SELECT COUNT(*) FROM event WHERE data ->> 'reason' = 'stopped'")[0][0]
    return found

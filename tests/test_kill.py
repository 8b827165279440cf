"""`kill -9` of a real server at random moments under load: what was answered 202 ends, once, and stays as it ended.

A short storm; `make storm` is a long one.
"""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from .storm.storm import Storm

Run = Callable[[Awaitable[Any]], Any]

ROUNDS = 5

#: What each storm does at least once.
DONE = ("cancels", "deletes", "events", "lists", "polls", "polls answered 304", "replays", "streams")


def test_no_kill_loses_a_job_changes_an_outcome_or_makes_a_call_twice(folder: Path, run: Run) -> None:
    async def main() -> None:
        seed = random.randrange(10**6)
        print(f"seed {seed}")
        async with Storm(folder, random.Random(seed), seconds=0.6) as storm:
            for _ in range(ROUNDS):
                await storm.live()
            await storm.settle()
        ledger = storm.ledger
        assert ledger.faultless, ledger.faults
        assert ledger.entries
        assert {name for name in DONE if not ledger.counts[name]} == set()
        print(f"{ROUNDS} kills, {len(ledger.entries)} jobs accepted, {storm.interrupted} interrupted")
        print(dict(ledger.counts))

    run(main())

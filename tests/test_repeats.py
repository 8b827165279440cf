"""What the store keeps of idempotency keys: how they are written, how long they are kept, and against a model."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coatcheck.engine.errors import InvalidRequest
from coatcheck.engine.jobs import SECOND, Submission
from coatcheck.engine.repeats import Repeat, Repeated
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.store import Store
from coatcheck.engine.sweeper import Sweeper
from coatcheck.handlers.headers import idempotency_key

from .jobs import Hands, completed, opened, rows, submission, take

Run = Callable[[Awaitable[Any]], Any]

HOUR, DAY = 3600, 86_400
OWNER = "key:alice"


def repeat(key: str = "k", *, owner: str = OWNER, asks: bytes = b"this", answer: bytes = b"ticket") -> Repeat:
    return Repeat(owner=owner, key=key, fingerprint=asks, answer=answer)


async def submit(store: Store, asked: Submission, key: Repeat | None) -> Repeated | None:
    return await (await store.submit(asked, "echo", key))


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ("abc", "abc"),
        (" abc ", "abc"),
        ('"abc"', "abc"),
        ('"a b"', "a b"),
        ('"a\\"b\\\\c"', 'a"b\\c'),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ("a,b;c=d", "a,b;c=d"),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
    ],
)
def test_a_key_is_a_quoted_string_or_a_bare_word(header: str | None, key: str | None) -> None:
    assert idempotency_key(header) == key


@pytest.mark.parametrize(
    "header", ["", " ", '""', '"', '"a', 'a"', "a b", "x" * 256, '"' + "x" * 256 + '"', "é", '"\x00"', r'"a\b"', "a\tb"]
)
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest, match="expected 1 to 255 printable ASCII characters") as caught:
        idempotency_key(header)
    assert caught.value.param == "Idempotency-Key"


def test_a_repeat_in_the_same_commit_finds_the_first(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            asked = [submission() for _ in range(5)]
            written = [
                await store.submit(one, "echo", repeat(answer=bytes([n]), asks=bytes([n])))
                for n, one in enumerate(asked)
            ]
            first, *others = await asyncio.gather(*written)
            assert first is None
            assert others == [Repeated(fingerprint=b"\0", job_id=asked[0].id, answer=b"\0")] * 4
            assert [job.id for job in await take(store, count=9)] == [asked[0].id]
        assert rows(folder / "coatcheck.db", "SELECT COUNT(*) FROM body") == [(1,)]

    run(main())


def test_a_key_is_kept_for_a_day_after_its_job_is_gone(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            sweeper = Sweeper(store, JobSettings(), hands.clock)
            asked = submission(ttl_seconds=HOUR, created_at=hands.wall)
            assert await submit(store, asked, repeat()) is None
            (job,) = await take(store)
            assert await store.finish(job, completed())
            hands.pass_(DAY - 1)
            assert await sweeper.sweep() == 1
            assert await store.repeated(OWNER, "k") == Repeated(fingerprint=b"this", job_id=asked.id, answer=b"ticket")
            hands.pass_(1)
            assert await store.repeated(OWNER, "k") is None
            await sweeper.sweep()
            assert rows(folder / "coatcheck.db", "SELECT * FROM idempotency") == []
            assert await submit(store, submission(created_at=hands.wall), repeat()) is None, "the key is free again"

    run(main())


def test_a_key_is_taken_again_before_it_is_swept(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            old, new = [submission(ttl_seconds=1, created_at=hands.wall + n * DAY * SECOND) for n in range(2)]
            assert await submit(store, old, repeat()) is None
            (job,) = await take(store)
            assert await store.finish(job, completed())
            hands.pass_(DAY)
            assert await store.sweep(10) == 1
            assert await submit(store, new, repeat(asks=b"another")) is None
            known = await store.repeated(OWNER, "k")
            assert known is not None
            assert (known.job_id, known.fingerprint) == (new.id, b"another")
            assert await store.forget(10) == 0

    run(main())


@pytest.mark.parametrize("ended", [False, True])
def test_a_key_is_kept_as_long_as_its_job(folder: Path, run: Run, ended: bool) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            sweeper = Sweeper(store, JobSettings(), hands.clock)
            asked = submission(ttl_seconds=10 * DAY, created_at=hands.wall)
            assert await submit(store, asked, repeat()) is None
            if ended:
                (job,) = await take(store)
                assert await store.finish(job, completed())
            for _ in range(9):
                hands.pass_(DAY)
                await sweeper.sweep()
                assert await store.forget(10) == 0, "it is looked at again a day later, not with each sweep"
                known = await store.repeated(OWNER, "k")
                assert known is not None
                assert known.job_id == asked.id
            if not ended:
                assert await store.cancel(asked.id, None) is not None
            hands.pass_(12 * DAY)
            assert await sweeper.sweep() == 1
            assert await store.repeated(OWNER, "k") is None
            assert rows(folder / "coatcheck.db", "SELECT * FROM idempotency") == []

    run(main())


def test_many_keys_are_swept_in_batches_and_those_of_living_jobs_stay(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            asked = [submission(ttl_seconds=1, created_at=hands.wall) for _ in range(2500)]
            written = [await store.submit(one, "echo", repeat(f"k{n}")) for n, one in enumerate(asked)]
            await asyncio.gather(*written)
            for job in await take(store, count=1500):
                await store.finish(job, completed())
            hands.pass_(DAY)
            assert await Sweeper(store, JobSettings(), hands.clock).sweep() == 1500
            assert rows(folder / "coatcheck.db", "SELECT COUNT(*) FROM idempotency") == [(1000,)]
            assert await store.repeated(OWNER, "k0") is None
            assert await store.repeated(OWNER, "k2499") is not None

    run(main())


@dataclass
class Kept:
    job: Submission
    asks: bytes
    until: int


STEPS = st.lists(
    st.one_of(
        st.lists(
            st.tuples(st.sampled_from(["key:alice", "key:bob"]), st.sampled_from("ab"), st.sampled_from([b"1", b"2"])),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from(["end", "delete", "hour", "day", "sweep", "restart"]),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_a_key_names_one_job_until_it_is_forgotten(folder: Path, run: Run, steps: list[Any]) -> None:
    async def main() -> None:
        hands = Hands()
        kept: dict[tuple[str, str], Kept] = {}
        alive: dict[str, bool] = {}
        store = await Store.open(folder / "coatcheck.db", clock=hands.clock)
        try:
            for step in steps:
                if isinstance(step, list):
                    asked = [submission(owner=owner, ttl_seconds=DAY, created_at=hands.wall) for owner, _, _ in step]
                    written = [
                        await store.submit(one, "echo", repeat(key, owner=owner, asks=asks))
                        for one, (owner, key, asks) in zip(asked, step, strict=True)
                    ]
                    answers = await asyncio.gather(*written)
                    for one, (owner, key, asks), answer in zip(asked, step, answers, strict=True):
                        known = kept.get((owner, key))
                        if known is not None and (known.until > hands.wall or known.job.id in alive):
                            assert answer is not None
                            assert (answer.job_id, answer.fingerprint) == (known.job.id, known.asks)
                        else:
                            assert answer is None
                            kept[owner, key] = Kept(one, asks, hands.wall + DAY * SECOND)
                            alive[one.id] = False
                elif step == "end":
                    for owner in ("key:alice", "key:bob"):
                        for job in await take(store, owner, count=9):
                            assert await store.finish(job, completed())
                            alive[job.id] = True
                elif step == "delete":
                    for id, ended in list(alive.items()):
                        assert await store.delete(id, None) == ended
                        if ended:
                            del alive[id]
                elif step == "restart":
                    await store.close()
                    store = await Store.open(folder / "coatcheck.db", clock=hands.clock)
                elif step == "sweep":
                    # One that was found with its job alive is looked at again a day later.
                    later = {k.job.id for k in kept.values() if k.until <= hands.wall and k.job.id in alive}
                    await store.forget(100)
                    for one in kept.values():
                        if one.job.id in later:
                            one.until = hands.wall + DAY * SECOND
                else:
                    hands.pass_(HOUR if step == "hour" else DAY)
                ids = {id for (id,) in rows(folder / "coatcheck.db", "SELECT id FROM job")}
                assert ids == set(alive)
        finally:
            await store.close()

    for left in folder.iterdir():
        left.unlink()
    run(main())

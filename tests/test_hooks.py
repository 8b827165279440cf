"""Hooks: whatever ends a job leaves one delivery, in the commit of the end; what it says never changes."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coatcheck.engine.fetch import check_url
from coatcheck.engine.hooks import Notice, bare, receiver_of
from coatcheck.engine.jobs import SECOND, Hook, Job, Outcome, State, Submission, Ticket
from coatcheck.engine.store import Store

from .deliveries import ended, every, to
from .jobs import Hands, add, back, completed, echo, failed, opened, pooled, rows, submission, take, until

Run = Callable[[Awaitable[Any]], Any]

URL = "https://example.com/hook"


def hooked(**more: Any) -> Submission:
    return submission(**more)._replace(hook=to(URL))


def told(ticket: Ticket, hook: Hook) -> Notice:
    """A notice that shows all that it was made of."""
    job = ticket.job
    return Notice(
        str(job.state),
        orjson.dumps(
            {
                "id": job.id,
                "status": job.status_code,
                "completed_at": job.completed_at,
                "expires_at": job.expires_at,
                "body": None if ticket.body is None else ticket.body.decode(),
                "original": None if ticket.original is None else ticket.original.decode(),
                "parameters": None if hook.parameters is None else hook.parameters.decode(),
            }
        ),
    )


async def finished(store: Store, hands: Hands, asked: Submission) -> None:
    (job,) = await take(store)
    assert await store.finish(job, completed(), keep_request=False)


async def lost(store: Store, hands: Hands, asked: Submission) -> None:
    (job,) = await take(store)
    assert await store.finish(job, failed())


async def cancelled(store: Store, hands: Hands, asked: Submission) -> None:
    assert await store.cancel(asked.id, None, keep_request=False)


async def cancelled_running(store: Store, hands: Hands, asked: Submission) -> None:
    (job,) = await take(store)
    assert await store.cancel(asked.id, asked.owner)
    assert not await store.finish(job, completed())


async def cancelled_as_it_said(store: Store, hands: Hands, asked: Submission) -> None:
    hands.pass_(20)
    assert await store.cancel_due()


async def cancelled_without_its_client(store: Store, hands: Hands, asked: Submission) -> None:
    assert await store.cancel_attended()


async def overdue(store: Store, hands: Hands, asked: Submission) -> None:
    (job,) = await take(store)
    assert await store.release(job, back(job))
    hands.pass_(5)
    assert await store.overdue(hands.wall, failed(b'{"message":"too late"}'))


ENDS = {
    finished: ("completed", 200, '{"answer":1}'),
    lost: ("failed", 502, '{"message":"no"}'),
    cancelled: ("cancelled", 499, None),
    cancelled_running: ("cancelled", 499, None),
    cancelled_as_it_said: ("cancelled", 499, None),
    cancelled_without_its_client: ("cancelled", 499, None),
    overdue: ("failed", 502, '{"message":"too late"}'),
}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_whatever_ends_a_job_leaves_one_delivery_of_what_it_has_come_to(end: Any, folder: Path, run: Run) -> None:
    state, status, body = ENDS[end]

    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            store.outbox.arrivals.announce = told
            asked = hooked()._replace(cancel_at=hands.wall + 20 * SECOND, attended=True)
            other = submission(owner="key:bob")
            await add(store, asked, other)
            assert await every(store) == []
            await end(store, hands, asked)
            (one,) = await every(store)
            found = await store.outbox.delivery(one.id, asked.owner)
            assert found is not None
            assert found.payload is not None
            assert orjson.loads(found.payload) == {
                "id": asked.id,
                "status": status,
                "completed_at": hands.wall,
                "expires_at": hands.wall + 60 * SECOND,
                "body": body,
                "original": None,
                "parameters": None,
            }
            assert (found.event, found.job_id, found.owner, found.dialect) == (state, asked.id, asked.owner, "v1")
            assert (found.url, found.endpoint, found.receiver) == (URL, None, "https://example.com:443")
            assert (found.state, found.attempts, found.tries) == ("due", 0, 0)
            assert found.created_at == found.due_since == found.next_at == hands.wall

    run(main())


def test_jobs_that_end_in_one_commit_have_a_delivery_each_where_they_have_a_hook(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            store.outbox.arrivals.announce = told
            asked = [hooked() if number % 3 else submission() for number in range(30)]
            await add(store, *asked)
            jobs = await take(store, count=30)
            await asyncio.gather(*(store.finish(job, completed(b'"%d"' % job.seq)) for job in jobs))
            seqs = {job.id: job.seq for job in jobs}
            deliveries = await every(store)
            assert {one.job_id for one in deliveries} == {one.id for one in asked if one.hook}
            assert len(deliveries) == 20
            for one in deliveries:
                found = await store.outbox.delivery(one.id, None)
                assert found is not None
                assert orjson.loads(found.payload or b"")["body"] == f'"{seqs[one.job_id]}"'

    run(main())


def test_a_stale_attempt_tells_nobody(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, hooked())
            (stale,) = await take(store)
            await store.release(stale, back(stale))
            assert not await store.finish(stale, completed())
            assert await every(store) == []
            (job,) = await take(store)
            assert [await store.finish(job, completed()), await store.finish(job, failed())] == [True, False]
            assert len(await every(store)) == 1

    run(main())


def test_the_vendor_s_answer_and_the_client_s_parameters_are_told(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            store.outbox.arrivals.announce = told
            outcome = Outcome(state=State.COMPLETED, status_code=200, body=b"1", original=b'{"as":"it came"}')
            await ended(store, Hook("orders", None, b'{"order":7}'), outcome=outcome, dialect="v3")
            (one,) = await every(store)
            found = await store.outbox.delivery(one.id, None)
            assert found is not None
            told_of = orjson.loads(found.payload or b"")
            assert (told_of["original"], told_of["parameters"]) == ('{"as":"it came"}', '{"order":7}')
            assert (found.endpoint, found.url, found.receiver, found.dialect) == ("orders", None, "orders", "v3")

    run(main())


def test_a_notice_that_cannot_be_made_costs_no_outcome(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(ticket: Ticket, hook: Hook) -> Notice:
        raise ZeroDivisionError

    async def main() -> None:
        async with opened(folder) as store:
            store.outbox.arrivals.announce = broken
            (id,) = await ended(store, to(URL))
            ticket = await store.ticket(id, None)
            assert ticket is not None
            assert (ticket.job.state, ticket.body) == (State.COMPLETED, b'{"answer":1}')
            (one,) = await every(store)
            found = await store.outbox.delivery(one.id, None)
            assert found is not None
            assert orjson.loads(found.payload or b"") == {
                "event": "async_job.completed",
                "data": {"job_id": id, "status": "completed", "status_code": 200},
            }
        assert f"job {id}: the notice of its end could not be made" in caplog.text
        assert "ZeroDivisionError" in caplog.text

    run(main())


@pytest.mark.parametrize(
    ("dialect", "state", "status", "event", "says"),
    [
        ("v1", "failed", 502, "async_job.failed", {"status": "failed", "status_code": 502}),
        ("v1", "cancelled", 499, "async_job.failed", {"status": "failed", "status_code": 499}),
        ("v3", "completed", 200, "async_job_completed", "success"),
        ("v3", "cancelled", 499, "async_job_completed", "fail"),
    ],
)
def test_a_bare_notice_says_how_the_job_has_ended(dialect: str, state: str, status: int, event: str, says: Any) -> None:
    values: dict[str, Any] = dict.fromkeys(Job._fields)
    job = Job(**values | {"id": "j-1", "dialect": dialect, "state": State(state), "status_code": status})
    notice = bare(Ticket(job, None), to(URL))
    payload = orjson.loads(notice.payload)
    assert notice.event == payload["event"] == event
    said = payload["status"] if dialect == "v3" else payload["data"]
    assert said == (says if dialect == "v3" else {"job_id": "j-1", **says})


def test_a_delivery_outlives_its_job(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            swept, deleted = await ended(store, to(URL), to(URL))
            assert await store.delete(deleted, None)
            hands.pass_(61)
            assert await store.sweep(10) == 1
            assert [(one.job_id, one.state) for one in await every(store)] == [(swept, "due"), (deleted, "due")]
            assert rows(folder / "coatcheck.db", "SELECT COUNT(*) FROM hook") == [(0,)]

    run(main())


def test_who_is_told_of_a_job_can_be_asked_until_the_job_is_gone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            asked, other = hooked(), submission(owner="key:bob")
            await add(store, asked, other)
            (job,), (plain,) = await take(store), await take(store, "key:bob")
            assert await asyncio.gather(*map(store.outbox.hook, (job.seq, plain.seq))) == [to(URL), None]
            await store.finish(job, completed())
            assert await store.outbox.hook(job.seq) == to(URL)
            await store.delete(asked.id, None)
            assert await store.outbox.hook(job.seq) is None

    run(main())


def test_whoever_waits_is_woken_by_the_commit_of_an_end_with_a_hook_alone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, submission())
            (job,) = await take(store)
            await store.finish(job, completed())
            assert not store.outbox.wake.is_set()
            await ended(store, to(URL), to(endpoint="orders"))
            assert store.outbox.wake.is_set()
            assert store.outbox.arrivals.taken() == {
                ("key:alice", "https://example.com:443"),
                ("key:alice", "orders"),
            }
            assert store.outbox.arrivals.taken() == set()

    run(main())


def test_nothing_can_be_taken_before_it_can_be_found(folder: Path, run: Run) -> None:
    """Whoever looked for it then would find nothing, and not look again."""

    async def main() -> None:
        async with opened(folder) as store:
            await add(store, hooked())
            (job,) = await take(store)
            ending = asyncio.ensure_future(store.finish(job, completed()))
            while not store.outbox.arrivals.taken():
                await asyncio.wait({ending}, timeout=0)
            assert rows(folder / "coatcheck.db", "SELECT receiver FROM delivery") == [("https://example.com:443",)]
            assert await ending

    run(main())


def test_jobs_that_end_while_nobody_looks_are_told_of(folder: Path, run: Run) -> None:
    """A start settles what an earlier process left behind: those ends have their deliveries too."""

    async def main() -> None:
        async with opened(folder) as store:
            attended, interrupted = hooked()._replace(attended=True), hooked(owner="key:bob")
            await add(store, attended, interrupted)
            await take(store, "key:bob")
        async with opened(folder) as store, pooled(store, echo()):
            await until(store, interrupted.id)
            assert {(one.job_id, one.event) for one in await every(store)} == {
                (attended.id, "async_job.failed"),
                (interrupted.id, "async_job.completed"),
            }

    run(main())


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://example.com/a?b=c", "https://example.com:443"),
        ("http://user:secret@Example.com/a", "http://example.com:80"),
        ("http://example.com:8080", "http://example.com:8080"),
        ("https://[2606:2800::1]:444/x", "https://[2606:2800::1]:444"),
    ],
)
def test_a_receiver_is_scheme_host_and_port_without_what_is_secret(url: str, receiver: str) -> None:
    assert receiver_of(to(url)) == receiver


@given(st.text(alphabet="abh.:@[]%/?#01८²٣-_+&=é℀ⅷ｡：", min_size=1, max_size=16))
@settings(max_examples=2000)
@example("a:+80")
@example("[:]")
def test_every_address_that_is_taken_has_a_receiver(rest: str) -> None:
    """It is looked for in the commit of the job's end, which must not fail."""
    url = f"http://{rest}"
    if check_url(url) is None:
        assert receiver_of(to(url)).startswith("http://")


def test_after_a_crash_a_job_that_has_ended_has_one_delivery_and_one_that_has_not_has_none(
    folder: Path, run: Run
) -> None:
    """The files are copied after each commit, as a crash would leave them, and opened again."""

    async def copied(name: str, source: Path) -> tuple[list[str], list[str]]:
        """What is found in a copy: the states of the jobs, and of which job a delivery tells."""
        copy = folder / name
        copy.mkdir()
        for suffix in ("", "-wal"):
            shutil.copyfile(source / f"coatcheck.db{suffix}", copy / f"coatcheck.db{suffix}")
        async with opened(copy) as store:
            found = [await store.outbox.delivery(one.id, None) for one in await every(store)]
            assert all(one is not None and one.payload for one in found)
            states = [state for (state,) in rows(copy / "coatcheck.db", "SELECT state FROM job")]
            return states, [one.job_id for one in found if one is not None]

    async def main() -> None:
        source = folder / "source"
        source.mkdir()
        async with opened(source) as store:
            asked = hooked()
            await add(store, asked)
            assert await copied("submitted", source) == (["pending"], [])
            (job,) = await take(store)
            assert await copied("claimed", source) == (["processing"], [])
            await store.release(job, back(job))
            (job,) = await take(store)
            assert await copied("claimed again", source) == (["processing"], [])
            await store.finish(job, completed())
            assert await copied("finished", source) == (["completed"], [asked.id])
            assert not await store.finish(job, completed())
            assert await store.cancel(asked.id, None) is None
            assert await copied("finished twice", source) == (["completed"], [asked.id])
            await store.delete(asked.id, None)
            assert await copied("deleted", source) == ([], [asked.id])

    run(main())

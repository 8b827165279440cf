"""Calls that a vendor runs as jobs: picked up where they were, paid for once, and ended when nobody wants them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine import retries, unwanted
from coatcheck.engine.calls import Call, OnInterrupt, Reply
from coatcheck.engine.errors import CallFailed, Interrupted, NotConnected, Unusable
from coatcheck.engine.jobs import SECOND, State, Ticket
from coatcheck.engine.pool import Pool

from .bureau import Bureau
from .jobs import Hands, add, completed, echo, found, opened, pooled, rows, submission, told, until

Run = Callable[[Awaitable[Any]], Any]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry does not wait."""
    monkeypatch.setattr(retries, "FIRST_DELAY_SECONDS", 0)


def standing(folder: Path) -> list[tuple[int, int, str]]:
    return rows(folder / "coatcheck.db", "SELECT seq, target, value FROM checkpoint ORDER BY seq")


def asked_of(*models: str) -> Any:
    return submission(*(models or ("bureau/slow",)))


async def cancelled(pool: Pool, bureau: Bureau) -> Ticket:
    """A job that is cancelled when its vendor has it."""
    await pool.submit(asked := asked_of())
    await bureau.asked.get()
    return await pool.cancel(asked.id, None)


@pytest.mark.parametrize("on_interrupt", list(OnInterrupt))
def test_a_call_goes_on_after_a_stop_and_is_paid_for_once(on_interrupt: OnInterrupt, folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store:
            await add(store, asked := asked_of(), lane="bureau")
            for number in range(4):
                async with pooled(store, bureau, on_interrupt=on_interrupt, max_attempts=1):
                    call = await bureau.asked.get()
                    assert (call.checkpoint, call.number) == (None if number == 0 else "bureau-1", 1)
                ticket = await found(store, asked.id)
                assert (ticket.job.state, ticket.job.calls, ticket.job.tries) == (State.PENDING, 0, 0)
            async with pooled(store, bureau, on_interrupt=on_interrupt, max_attempts=1):
                await bureau.asked.get()
                bureau.complete("bureau-1")
                ticket = await until(store, asked.id)
            assert (ticket.job.state, ticket.job.calls, ticket.body) == (State.COMPLETED, 1, b'{"done":true}')
        assert bureau.begun == ["bureau-1"]
        assert bureau.abandoned.empty()

    run(main())


@pytest.mark.parametrize("on_interrupt", list(OnInterrupt))
def test_a_call_goes_on_after_a_kill(on_interrupt: OnInterrupt, folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store:
            await add(store, asked := asked_of(), other := submission(), lane="bureau")
            # What a kill leaves: jobs that an attempt holds.
            jobs = await store.claim("bureau", {asked.owner: 2})
            bureau.begun.append("bureau-1")
            assert await store.checkpoint(jobs[0], "bureau-1")
            async with pooled(store, bureau, echo(), on_interrupt=on_interrupt):
                assert (await bureau.asked.get()).checkpoint == "bureau-1"
                bureau.complete("bureau-1")
                assert (await until(store, asked.id)).job.calls == 1
                after = await until(store, other.id)
            interrupted = (State.COMPLETED, 2) if on_interrupt is OnInterrupt.RETRY else (State.FAILED, 1)
            assert (after.job.state, after.job.calls) == interrupted, "a call without a checkpoint"
        assert bureau.begun == ["bureau-1"]

    run(main())


@pytest.mark.parametrize("failure", [Interrupted(), NotConnected()], ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("on_interrupt", list(OnInterrupt))
def test_a_call_is_asked_after_again_however_often_the_connection_is_lost(
    failure: CallFailed, on_interrupt: OnInterrupt, folder: Path, run: Run
) -> None:
    async def main() -> None:
        bureau = Bureau(retries=1, on_interrupt=on_interrupt)
        async with opened(folder) as store, pooled(store, bureau, echo(), max_attempts=2) as pool:
            await pool.submit(asked := asked_of("bureau/slow", "echo/echo"))
            for _ in range(6):
                await bureau.asked.get()
                bureau.lose("bureau-1", failure)
            await bureau.asked.get()
            bureau.complete("bureau-1")
            ticket = await until(store, asked.id)
            assert (ticket.job.state, ticket.job.calls, ticket.job.target) == (State.COMPLETED, 1, 0)
            reasons = [event.data["reason"] for event in await told(store, asked.id) if event.kind == "released"]
            assert reasons == ["retry"] * 6
        assert bureau.begun == ["bureau-1"]
        assert bureau.abandoned.empty()

    run(main())


def test_a_vendor_that_answers_with_errors_is_given_up_after_its_retries(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau(retries=2)
        async with opened(folder) as store, pooled(store, bureau, echo(), max_attempts=2) as pool:
            await pool.submit(asked := asked_of("bureau/slow", "echo/echo"))
            for _ in range(3):
                await bureau.asked.get()
                bureau.lose("bureau-1", CallFailed("it is down", status=503))
            ticket = await until(store, asked.id)
            assert (ticket.job.state, ticket.job.calls, ticket.job.target) == (State.COMPLETED, 2, 1)
            assert await bureau.abandoned.get() == "bureau-1"
        assert bureau.begun == ["bureau-1"]
        assert (bureau.abandoned.empty(), standing(folder)) == (True, [])

    run(main())


def test_a_vendors_job_that_failed_is_begun_anew(folder: Path, run: Run) -> None:
    class Failing(Bureau):
        async def execute(self, call: Call) -> Reply:
            try:
                return await super().execute(call)
            except CallFailed:
                await call.save(None)
                raise

    async def main() -> None:
        bureau = Failing()
        async with opened(folder) as store, pooled(store, bureau) as pool:
            await pool.submit(asked := asked_of())
            await bureau.asked.get()
            bureau.lose("bureau-1", CallFailed("the job failed", status=500))
            call = await bureau.asked.get()
            assert (call.checkpoint, call.number) == (None, 2)
            bureau.complete("bureau-2")
            assert (await until(store, asked.id)).job.calls == 2
        assert bureau.begun == ["bureau-1", "bureau-2"]
        assert bureau.abandoned.empty()

    run(main())


def test_a_cancel_is_passed_on_while_the_call_runs(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store, pooled(store, bureau) as pool:
            assert (await cancelled(pool, bureau)).job.state is State.CANCELLED
            assert await bureau.abandoned.get() == "bureau-1"
            await pool.drain(0)
            assert (bureau.abandoned.empty(), standing(folder)) == (True, [])

    run(main())


def test_a_cancel_is_passed_on_while_the_job_waits_to_go_on(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store:
            await add(store, asked := asked_of(), fresh := asked_of(), lane="bureau")
            (job,) = await store.claim("bureau", {asked.owner: 1})
            await store.checkpoint(job, "bureau-1")
            await store.release(job, retries.untouched(job, "stopped", run_at=2**60))
            async with pooled(store, bureau) as pool:
                await pool.cancel(fresh.id, None)
                await pool.cancel(asked.id, None)
                assert await bureau.abandoned.get() == "bureau-1"
            assert (bureau.abandoned.qsize(), standing(folder)) == (0, [])

    run(main())


def test_a_cancel_that_was_not_passed_on_before_a_kill_is_at_the_next_start(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store:
            asked = [asked_of() for _ in range(3)]
            await add(store, *asked, lane="bureau")
            cancelled, done, going = await store.claim("bureau", {asked[0].owner: 3})
            for number, job in enumerate((cancelled, done, going), 1):
                await store.checkpoint(job, f"bureau-{number}")
            await store.cancel(cancelled.id, None)
            await store.finish(done, completed())
            async with pooled(store, bureau):
                assert await bureau.abandoned.get() == "bureau-1"
                assert (await bureau.asked.get()).checkpoint == "bureau-3"
            assert bureau.abandoned.empty()
            assert [value for *_, value in standing(folder)] == ["bureau-2", "bureau-3"]

    run(main())


def test_cancel_after_is_passed_on_at_a_start_and_while_it_runs(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau, hands = Bureau(), Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, early := asked_of()._replace(cancel_at=hands.wall + SECOND), lane="bureau")
            (job,) = await store.claim("bureau", {early.owner: 1})
            await store.checkpoint(job, "bureau-0")
            hands.pass_(2)
            async with pooled(store, bureau, clock=hands.clock) as pool:
                assert await bureau.abandoned.get() == "bureau-0"
                await pool.submit(late := asked_of()._replace(cancel_at=hands.wall))
                assert (await until(store, late.id)).job.state is State.CANCELLED
            assert bureau.abandoned.qsize() == len(bureau.begun), "what was begun was abandoned"

    run(main())


def test_attended_jobs_are_cancelled_at_the_start_and_nothing_is_called(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store:
            running, waiting = (asked_of()._replace(attended=True) for _ in range(2))
            await add(store, running, waiting, lane="bureau")
            (job,) = await store.claim("bureau", {running.owner: 1})
            await store.checkpoint(job, "bureau-1")
            async with pooled(store, bureau):
                assert await bureau.abandoned.get() == "bureau-1"
            for one in (running, waiting):
                assert (await found(store, one.id)).job.state is State.CANCELLED
        assert (bureau.begun, bureau.asked.empty()) == ([], True)

    run(main())


def test_a_job_that_is_out_of_time_ends_its_vendors(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau(timeout_seconds=0.01)
        async with opened(folder) as store, pooled(store, bureau, echo()) as pool:
            await pool.submit(alone := asked_of())
            await pool.submit(other := asked_of("bureau/slow", "echo/echo"))
            assert (await until(store, alone.id)).job.status_code == 504
            after = (await until(store, other.id)).job
            assert (after.state, after.target, after.calls) == (State.COMPLETED, 1, 2)
            assert {await bureau.abandoned.get() for _ in range(2)} == {"bureau-1", "bureau-2"}
            await pool.drain(0)
            assert (bureau.abandoned.empty(), standing(folder)) == (True, [])

    run(main())


def test_a_job_that_is_overdue_while_it_waits_ends_its_vendors(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau, hands = Bureau(), Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, asked := asked_of(), lane="bureau")
            (job,) = await store.claim("bureau", {asked.owner: 1})
            await store.checkpoint(job, "bureau-1")
            await store.release(job, retries.untouched(job, "retry", run_at=hands.wall + 3600 * SECOND))
            hands.pass_(20)
            async with pooled(store, bureau, clock=hands.clock, timeout_seconds=10):
                assert (await until(store, asked.id)).job.status_code == 504
                assert await bureau.abandoned.get() == "bureau-1"
        assert (bureau.begun, bureau.abandoned.empty()) == ([], True)

    run(main())


def test_an_answer_that_cannot_be_used_ends_the_vendors_job_too(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store, pooled(store, bureau) as pool:
            await pool.submit(asked := asked_of())
            await bureau.asked.get()
            bureau.lose("bureau-1", Unusable("no JSON"))
            assert (await until(store, asked.id)).job.state is State.FAILED
            assert await bureau.abandoned.get() == "bureau-1"

    run(main())


def test_what_is_saved_after_the_cancel_is_abandoned_all_the_same(folder: Path, run: Run) -> None:
    class Thorough(Bureau):
        """Does not leave a job behind whose id it does not know."""

        async def begin(self, call: Call) -> str:
            self.asked.put_nowait(call)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await call.save(await super().begin(call))
                raise
            raise AssertionError

    async def main() -> None:
        bureau = Thorough()
        async with opened(folder) as store, pooled(store, bureau) as pool:
            asked = (await cancelled(pool, bureau)).job
            assert await bureau.abandoned.get() == "bureau-1"
            assert standing(folder) == []
            assert (await found(store, asked.id)).job.state is State.CANCELLED

    run(main())


def test_a_stop_abandons_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store:
            async with pooled(store, bureau) as pool:
                for _ in range(3):
                    await pool.submit(asked_of())
                    await bureau.asked.get()
            assert bureau.abandoned.empty()
            assert standing(folder) == [(seq, 0, f"bureau-{seq}") for seq in (1, 2, 3)]

    run(main())


def test_a_vendor_that_cannot_be_told_is_told_at_the_next_start(
    folder: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        bureau = Bureau()
        async with opened(folder) as store:
            for refusal in (CallFailed("it said sk-secret", status=503), ZeroDivisionError()):
                bureau.refusal = refusal
                async with pooled(store, bureau) as pool:
                    if not bureau.begun:
                        await pool.submit(asked := asked_of())
                        await bureau.asked.get()
                        await pool.cancel(asked.id, None)
                    assert await bureau.abandoned.get() == "bureau-1"
                assert standing(folder) == [(1, 0, "bureau-1")]
            bureau.refusal = None
            async with pooled(store, bureau):
                assert await bureau.abandoned.get() == "bureau-1"
            assert standing(folder) == []
        assert "provider bureau could not be told that it is not wanted: 503" in caplog.text
        assert "sk-secret" not in caplog.text
        assert "ZeroDivisionError" in caplog.text

    run(main())


def test_a_stop_waits_for_a_vendor_that_is_being_told(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau()
        bureau.patient.clear()
        async with opened(folder) as store, pooled(store, bureau) as pool:
            await cancelled(pool, bureau)
            await bureau.abandoned.get()
            draining = asyncio.create_task(pool.drain(0))
            await asyncio.wait([draining], timeout=0.05)
            assert not draining.done()
            bureau.patient.set()
            await draining
            assert standing(folder) == []

    run(main())


def test_a_stop_does_not_wait_for_ever_for_a_vendor_that_is_being_told(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unwanted, "_PATIENCE_SECONDS", 0.01)

    async def main() -> None:
        bureau = Bureau()
        bureau.patient.clear()
        async with opened(folder) as store, pooled(store, bureau) as pool:
            await cancelled(pool, bureau)
            await pool.drain(0)
        assert "was not told in time" in caplog.text

    run(main())


def test_a_stop_has_one_patience_for_all_that_are_to_be_told(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unwanted, "_AT_ONCE", 1)

    async def main() -> None:
        bureau = Bureau()
        bureau.patient.clear()
        async with opened(folder) as store, pooled(store, bureau) as pool:
            for _ in range(3):
                await cancelled(pool, bureau)
            await bureau.abandoned.get()
            monkeypatch.setattr(unwanted, "_PATIENCE_SECONDS", 0.01)
            await pool.drain(0)
            assert (bureau.abandoned.empty(), len(standing(folder))) == (True, 3)
        assert "3 providers' jobs that are not wanted are told of at the next start" in caplog.text

    run(main())


@pytest.mark.parametrize("refusal", [CallFailed("slow down", status=429), NotConnected(), Interrupted()])
def test_a_vendor_that_does_not_listen_for_a_moment_is_told_again(refusal: CallFailed, folder: Path, run: Run) -> None:
    class Busy(Bureau):
        async def abandon(self, call: Call) -> None:
            self.refusal = refusal if self.abandoned.qsize() < 2 else None
            await super().abandon(call)

    async def main() -> None:
        bureau = Busy()
        async with opened(folder) as store, pooled(store, bureau) as pool:
            await cancelled(pool, bureau)
            await pool.drain(0)
            assert (bureau.abandoned.qsize(), standing(folder)) == (3, [])

    run(main())


def test_a_value_means_nothing_at_another_target(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau, second = Bureau(), Bureau("second")
        bureau.patient.clear()
        async with opened(folder) as store, pooled(store, bureau, second) as pool:
            await pool.submit(asked := asked_of("bureau/slow", "second/slow"))
            await bureau.asked.get()
            bureau.lose("bureau-1", CallFailed("no", status=400))
            assert await bureau.abandoned.get() == "bureau-1"
            assert (await second.asked.get()).checkpoint is None, "it stands while the first is being told"
            bureau.patient.set()
            assert standing(folder) == [(1, 1, "second-1")]
            second.complete("second-1")
            assert (await until(store, asked.id)).job.state is State.COMPLETED
        assert second.abandoned.empty()

    run(main())


def test_a_stale_attempt_saves_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, asked := submission())
            (stale,) = await store.claim("echo", {asked.owner: 1})
            await store.release(stale, retries.untouched(stale, "stopped"))
            assert not await store.checkpoint(stale, "too late")
            (job,) = await store.claim("echo", {asked.owner: 1})
            saved = [store.checkpoint(job, "mine"), store.checkpoint(stale, "too late"), store.checkpoint(stale, None)]
            assert await asyncio.gather(*saved) == [True, False, False]
            assert standing(folder) == [(1, 0, "mine")]
            assert await store.checkpoint(job, "another")
            assert standing(folder) == [(1, 0, "another")]
            assert await store.checkpoint(job, None)
            assert standing(folder) == []
            await store.checkpoint(job, "gone with its job")
            await store.cancel(asked.id, None)
            assert not await store.checkpoint(job, None)
            await store.delete(asked.id, None)
            assert standing(folder) == []

    run(main())


def test_a_failure_tells_what_was_asked_after(folder: Path, run: Run) -> None:
    async def main() -> None:
        bureau = Bureau(retries=0)
        async with opened(folder) as store, pooled(store, bureau) as pool:
            await pool.submit(asked := asked_of())
            await bureau.asked.get()
            bureau.lose("bureau-1", CallFailed("it is down", status=503))
            ticket = await until(store, asked.id)
            assert ticket.job.calls == 1
            assert orjson.loads(ticket.body or b"")["message"] == "it is down"
            assert await bureau.abandoned.get() == "bureau-1"

    run(main())

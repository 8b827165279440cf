"""Files that providers make: kept with the outcome that names them, and gone where there is none."""

import asyncio
import resource
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.calls import Call, CallPolicy, Offer, OnInterrupt, Reply
from coatcheck.engine.errors import CallFailed
from coatcheck.engine.jobs import State

from .files import filed, in_rows, on_disk
from .jobs import add, opened, pooled, submission, told, until

Run = Callable[[Awaitable[Any]], Any]

Made = Callable[[Call], Coroutine[Any, Any, Reply]]


class Painter:
    """A provider in this process, which answers as it is told."""

    models = ()
    lanes: Mapping[str, int] = {"painter": 10}

    def __init__(self, made: Made, **policy: Any) -> None:
        self.policy = CallPolicy(**policy)
        self.execute = made

    def lane(self, operation: str, model: str) -> str:
        return "painter"

    def check(self, operation: str, model: str) -> str | None:
        return None

    def default(self, operation: str) -> str | None:
        return None

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def ping(self) -> str:
        return "is there"

    async def offers(self) -> Sequence[Offer]:
        return ()


async def paint(call: Call, *contents: bytes) -> Reply:
    files = []
    for content in contents:
        async with call.new_file("image/png") as file:
            await file.write(content)
        files.append(file.blob)
    return Reply(result=orjson.dumps({"data": [{"b64_json": blob.placeholder} for blob in files]}), files=tuple(files))


def painting(**changes: Any) -> Any:
    return submission("painter/oil", **changes)


def test_the_files_of_an_answer_are_kept_with_it(folder: Path, run: Run) -> None:
    async def main() -> None:
        painter = Painter(lambda call: paint(call, b"one", b"two"))
        async with opened(folder) as store, pooled(store, painter) as pool:
            await pool.submit(asked := painting())
            ticket = await until(store, asked.id)
            files = await store.files(ticket.job.seq)
            assert [file.path.read_bytes() for file in files] == [b"one", b"two"]
            named = [one["b64_json"] for one in orjson.loads(ticket.body or b"")["data"]]
            assert named == [f"blob:{file.blob}" for file in files]
            assert on_disk(folder) == in_rows(folder)

    run(main())


def test_a_file_that_the_answer_does_not_name_is_removed(folder: Path, run: Run) -> None:
    async def draft(call: Call) -> Reply:
        await paint(call, b"a draft")
        return await paint(call, b"the picture")

    async def main() -> None:
        async with opened(folder) as store:
            async with pooled(store, Painter(draft)) as pool:
                await pool.submit(asked := painting())
                await until(store, asked.id)
            ((file,),) = [await store.files(1)]
            assert file.path.read_bytes() == b"the picture"
            assert on_disk(folder) == {file.blob}

    run(main())


def test_nothing_stays_of_a_call_that_failed_with_a_file_half_or_wholly_made(folder: Path, run: Run) -> None:
    async def fail(call: Call) -> Reply:
        await paint(call, b"whole")
        async with call.new_file("image/png") as file:
            await file.write(bytes(1_000_000))
            raise CallFailed("out of paint", status=400)

    async def main() -> None:
        async with opened(folder) as store:
            async with pooled(store, Painter(fail)) as pool:
                await pool.submit(asked := painting())
                assert (await until(store, asked.id)).job.state is State.FAILED
            assert on_disk(folder) == set()

    run(main())


@pytest.mark.parametrize("how", ["cancel", "stop"])
def test_nothing_stays_of_a_call_that_is_ended(how: str, folder: Path, run: Run) -> None:
    async def main() -> None:
        painted = asyncio.Event()

        async def slow(call: Call) -> Reply:
            await paint(call, b"whole")
            async with call.new_file("image/png") as file:
                await file.write(bytes(1_000_000))
                painted.set()
                await asyncio.Event().wait()
            raise AssertionError

        async with opened(folder) as store:
            async with pooled(store, Painter(slow)) as pool:
                await pool.submit(asked := painting())
                await painted.wait()
                assert len(on_disk(folder)) == 2
                if how == "cancel":
                    await pool.cancel(asked.id, None)
            assert on_disk(folder) == set()

    run(main())


def test_an_answer_that_comes_after_the_cancel_leaves_no_file(folder: Path, run: Run) -> None:
    async def main() -> None:
        painted, go = asyncio.Event(), asyncio.Event()

        async def deaf(call: Call) -> Reply:
            reply = await paint(call, b"late")
            painted.set()
            while not go.is_set():
                try:
                    await go.wait()
                except asyncio.CancelledError:
                    go.set()
            return reply

        async with opened(folder) as store:
            async with pooled(store, Painter(deaf)) as pool:
                await pool.submit(asked := painting())
                await painted.wait()
                assert (await pool.cancel(asked.id, None)).job.state is State.CANCELLED
            assert on_disk(folder) == in_rows(folder) == set()

    run(main())


@pytest.mark.parametrize("contents", [(bytes(1025),), (bytes(600), bytes(600))], ids=["one", "in all"])
def test_files_that_are_too_large_fail_the_job_and_do_not_stay(
    contents: tuple[bytes, ...], folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            painter = Painter(lambda call: paint(call, *contents))
            async with pooled(store, painter, max_result_bytes=1024) as pool:
                await pool.submit(asked := painting())
                ticket = await until(store, asked.id)
            assert ticket.job.state is State.FAILED
            failure = orjson.loads(ticket.body or b"")
            assert failure["code"] == "result_too_large"
            assert "max_result_bytes is 1024" in failure["message"]
            assert on_disk(folder) == set()

    run(main())


@pytest.mark.parametrize("on_interrupt", list(OnInterrupt))
def test_a_disk_that_is_full_counts_as_an_interruption(on_interrupt: OnInterrupt, folder: Path, run: Run) -> None:
    calls = 0

    async def main() -> None:
        async def paint_large(call: Call) -> Reply:
            nonlocal calls
            calls += 1
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            if calls == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
            try:
                return await paint(call, bytes(1_000_000))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

        async with opened(folder) as store, pooled(store, Painter(paint_large), on_interrupt=on_interrupt) as pool:
            await pool.submit(asked := painting())
            job = (await until(store, asked.id)).job
            retried = on_interrupt is OnInterrupt.RETRY
            assert (job.state, job.calls) == ((State.COMPLETED, 2) if retried else (State.FAILED, 1))
            failure = next(e for e in await told(store, asked.id) if e.kind in ("released", "failed"))
            if retried:
                assert "files cannot be kept: File too large" in failure.data["failure"]["message"]
            assert len(on_disk(folder)) == len(in_rows(folder)) == retried

    run(main())


def test_a_call_reads_the_files_of_its_request(folder: Path, run: Run) -> None:
    async def copy(call: Call) -> Reply:
        assert set(call.files) == {"file"}
        return await paint(call, *(file.path.read_bytes()[::-1] for file in call.files["file"]))

    async def main() -> None:
        async with opened(folder) as store, pooled(store, Painter(copy)) as pool:
            asked = (await filed(store, b"abc", b"def"))._replace(targets=painting().targets)
            await pool.submit(asked)
            job = (await until(store, asked.id)).job
            assert [file.path.read_bytes() for file in await store.files(job.seq)] == [b"cba", b"fed"]

    run(main())


def test_a_file_that_is_gone_fails_its_job_clearly(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            asked = (await filed(store, b"abc"))._replace(targets=painting().targets)
            await add(store, asked, lane="painter")
            await store.blobs.unlink(asked.files[0].blob.id)
            async with pooled(store, Painter(lambda call: paint(call))) as pool:
                ticket = await until(store, asked.id)
                assert (ticket.job.state, ticket.job.status_code) == (State.FAILED, 500)
                assert orjson.loads(ticket.body or b"")["message"] == "a file of this job's request is gone"
                assert pool.accepting

    run(main())


def test_an_outcome_that_the_store_refuses_leaves_no_file(folder: Path, run: Run) -> None:
    async def negative(call: Call) -> Reply:
        reply = await paint(call, b"dear")
        return Reply(result=reply.result, files=reply.files, cost=-1)

    async def main() -> None:
        async with opened(folder) as store:
            async with pooled(store, Painter(negative)) as pool:
                await pool.submit(asked := painting())
                assert (await until(store, asked.id)).job.status_code == 500
            assert on_disk(folder) == in_rows(folder) == set()

    run(main())

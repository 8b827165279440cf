"""The parts of the benchmark: they count rightly, and what they seed is what the store makes of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bench import history, seed
from bench.__main__ import MEASUREMENTS, Measurement, run
from bench.load import FRESH, Load, drive
from bench.loading import chat, raw
from bench.rounds import Rounds
from bench.rows import Measured, Row
from bench.senders import send
from bench.servers import KEY
from bench.watch import watch
from coatcheck.engine.jobs import State
from coatcheck.schemas.operations import OPERATIONS

from .jobs import opened, until
from .servers import gateway

DOCS = Path(__file__).parent.parent / "docs" / "performance.md"

HIGH = Row(name="high", title="a rate", budget=0.5, aim=0.8)
LOW = Row(name="low", title="a time", budget=2, aim=1, less_is_better=True, unit="s")


@asynccontextmanager
async def served(answer: Callable[[web.Request], Any]) -> AsyncIterator[int]:
    """The port of a server with this one handler, in this loop."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def loaded(answer: Callable[[web.Request], Any], requests: list[bytes], **options: Any) -> Load:
    """What a server with this one handler, in this loop, is found to do."""
    async with served(answer) as port:
        return await drive(port, requests, **options)


def test_the_load_generator_counts_every_answer_by_status_and_keeps_the_ids() -> None:
    given: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        assert await request.json() == {"n": 1}
        given.append(f"00000000-0000-4000-8000-{len(given):012d}")
        return web.Response(text=f'{{"id":"{given[-1]}"}}', status=202 if len(given) % 2 else 429)

    measured = asyncio.run(
        loaded(answer, [raw("POST", "/x", {"n": 1})], connections=4, seconds=60, count=50, keep_ids=True)
    )
    assert measured.requests == len(given) == 50
    assert measured.statuses == {202: 25, 429: 25}
    assert sorted(id for ids in measured.ids for id in ids) == given
    assert len(measured.ids) == 4
    assert all(ids == sorted(ids) for ids in measured.ids), "the ids of a connection are in the order of its requests"


def test_the_load_generator_sends_its_requests_in_turn() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    requests = [raw("GET", f"/{name}") for name in "abc"]
    asyncio.run(loaded(answer, requests, connections=1, seconds=60, count=30, rate=100_000.0))
    assert asked == [asked[0], asked[1], asked[2]] * 10
    assert set(asked) == {"/a", "/b", "/c"}


def test_fresh_requests_have_a_number_of_their_own() -> None:
    given: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        given.append(request.headers["Idempotency-Key"])
        return web.Response()

    requests = [chat("echo/echo", more={"Idempotency-Key": FRESH.decode()})]
    for _ in range(2):
        asyncio.run(loaded(answer, requests, connections=3, seconds=60, count=20, fresh=True))
    assert len(set(given)) == 40, "also over two loads"
    assert {len(key) for key in given} == {len(FRESH)}


def test_the_load_generator_says_how_late_an_outcome_arrives() -> None:
    async def answer(request: web.Request) -> web.Response:
        ended = datetime.now(UTC) - timedelta(seconds=len(request.path))
        return web.Response(text=f'{{"completed_at":"{ended:%Y-%m-%dT%H:%M:%S.%fZ}"}}')

    requests = [raw("GET", "/" + "x" * 59), raw("GET", "/" + "x" * 119)]
    measured = asyncio.run(loaded(answer, requests, connections=2, seconds=60, count=10, tell_late=True))
    assert 60_000 <= measured.late_p50_ms < 61_000
    assert 120_000 <= measured.late_p99_ms == measured.late_max_ms < 121_000


def test_a_connection_that_the_server_closes_fails_the_load() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(ConnectionError):
        asyncio.run(loaded(answer, [raw("GET", "/")], connections=2, seconds=60))


def test_what_the_benchmark_submits_is_accepted_and_completes(folder: Path) -> None:
    async def main() -> None:
        keys = [{"name": "bench", "key": KEY}]
        async with gateway(folder, auth={"keys": keys}, providers={"echo": {"kind": "echo"}}) as served:
            port = int(served.url.rpartition(":")[2])
            measured = await drive(port, [chat("echo/echo")], connections=2, seconds=60, count=6, keep_ids=True)
            assert measured.statuses == {202: 6}
            for id in (id for ids in measured.ids for id in ids):
                ticket = await until(served.gateway.store, id)
                assert ticket.job.state is State.COMPLETED
                assert b"capital of France" in (ticket.body or b"")

    asyncio.run(main())


def test_the_watching_client_tells_how_late_tokens_are_and_when_every_stream_has_ended() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        early = f"{time.time() - 60:.6f}"
        told = f'event: submitted\ndata: {{}}\n\nevent: progress\ndata: {{"text": "{early} {early} "}}\n\n: alive\n\n'
        end = f'event: completed\ndata: {{"result": "{early} {early} "}}\n\n'
        response = web.StreamResponse()
        response.content_length = len(told + end)
        await response.prepare(request)
        for piece in (told[:75], told[75:], end):
            await response.write(piece.encode())
        return response

    async def main() -> None:
        async with served(answer) as port:
            watched = await watch(port, "/jobs/*/events", ["a", "b", "c"])
        assert (watched.ended, watched.reports, watched.moments) == (3, 3, 6), "the outcome's text is no progress"
        assert 60_000 <= watched.late_p50_ms <= watched.late_max_ms < 61_000
        assert sorted(asked) == ["/jobs/a/events", "/jobs/b/events", "/jobs/c/events"]

    asyncio.run(main())


def test_a_stream_that_breaks_off_fails_the_watching_client() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"event: submitted\ndata: {}\n\n")
        assert request.transport is not None
        request.transport.close()
        return response

    async def main() -> None:
        async with served(answer) as port:
            with pytest.raises(ConnectionError):
                await watch(port, "/jobs/*/events", ["a"])

    asyncio.run(main())


def test_each_uploading_client_sends_a_whole_file() -> None:
    sizes: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        assert form["model"] == "busy/hang"
        recording = form["file"]
        assert isinstance(recording, web.FileField)
        sizes.append(len(recording.file.read()))
        return web.Response(status=202)

    async def main() -> None:
        async with served(answer) as port:
            sent = await asyncio.to_thread(send, port, 3, 300_000, "busy/hang")
            assert sent.statuses == {"202": 3}

    asyncio.run(main())
    assert sizes == [300_000] * 3


def test_a_ratio_is_the_median_over_the_pairs_and_not_that_of_the_medians() -> None:
    rounds = Rounds([(1, 2), (10, 10), (100, 50)])
    assert rounds.ratio == 1
    assert (rounds.a, rounds.b) == (10, 10)
    assert Rounds([(1, 3), (10, 1), (2, 6)]).ratio == 3


@pytest.mark.parametrize(
    ("row", "value", "verdict"),
    [
        (HIGH, 0.8, "aim met"), (HIGH, 0.5, "met"), (HIGH, 0.49, "missed"),
        (LOW, 1, "aim met"), (LOW, 2, "met"), (LOW, 2.1, "missed"),
    ],
)  # fmt: skip
def test_a_row_says_whether_its_budget_is_met(row: Row, value: float, verdict: str) -> None:
    assert row.verdict(value) == verdict


def test_the_table_shows_the_last_run_that_measured_a_row(folder: Path) -> None:
    path = folder / "history.jsonl"
    assert history.read(path) == []
    history.append(path, history.entry({"high": 0.61, "low": 1.5}, {"polls/s": 12345.678}))
    history.append(path, history.entry({"high": 0.72}, {}))
    runs = history.read(path)
    assert (history.last(runs, "high"), history.last(runs, "low"), history.last(runs, "other")) == (0.72, 1.5, None)
    heading, high, low = history.table([HIGH, LOW], {"high": 0.9}, runs).splitlines()
    assert heading.split() == ["budget", "aim", "this", "run", "last", "run"]
    assert high.split() == ["a", "rate", "0.50", "0.80", "0.90", "0.72", "aim", "met"]
    assert low.split() == ["a", "time", "2.00", "s", "1.00", "s", "-", "1.50", "s", "could", "not", "be", "measured"]


def test_a_run_keeps_what_was_measured_and_fails_for_what_could_not_be(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Measured:
        raise ConnectionError("the upstream is away")

    path = folder / "history.jsonl"
    fine = Measurement(rows=(LOW,), take=lambda: Measured(values={"low": 3.0}))
    assert run([Measurement(rows=(HIGH,), take=broken), fine], path) == 1
    printed = capsys.readouterr()
    assert "the upstream is away" in printed.err
    assert "could not be measured" in printed.out
    assert [entry["values"] for entry in history.read(path)] == [{"low": 3.0}]
    assert run([fine], path) == 0, "a missed budget is no failure"
    assert "missed" in capsys.readouterr().out


def test_a_seeded_backlog_is_what_the_store_finds_waiting(folder: Path) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            assert await store.backlog() == [("busy", seed.OWNER, False, 7)]
            (job,) = await store.claim("busy", {seed.OWNER: 1})
            assert (job.id, job.at.model) == (first, "hang")
            request = await store.request(job.seq)
            assert request is not None
            assert OPERATIONS[job.operation].load(json.loads(request)).model == "busy/hang"

    seed.pending(folder / "coatcheck.db", 7, "busy/hang")
    (first,) = seed.ids(folder / "coatcheck.db", 1)
    asyncio.run(main())


def test_seeded_outcomes_are_found_until_they_expire_and_swept_then(folder: Path) -> None:
    async def main(place: Path, kept: int) -> None:
        async with opened(place) as store:
            for id in ids[place]:
                ticket = await store.ticket(id, seed.OWNER)
                assert (ticket is not None) == bool(kept)
                assert ticket is None or (ticket.body or b"").startswith(b'{"id":"chatcmpl-1"')
            assert await store.sweep(100) == 20 - kept

    ids = {}
    for name, seconds, kept in (("kept", 600, 20), ("expired", -600, 0)):
        place = folder / name
        place.mkdir()
        seed.completed(place / "coatcheck.db", 20, expires_in_seconds=seconds)
        assert seed.left(place / "coatcheck.db") == 20 - kept
        ids[place] = seed.ids(place / "coatcheck.db", 5)
        assert len(ids[place]) == 5
        asyncio.run(main(place, kept))
        assert seed.left(place / "coatcheck.db") == 0


def test_every_row_of_the_benchmark_is_in_the_docs() -> None:
    text = DOCS.read_text()
    for row in (row for measurement in MEASUREMENTS for row in measurement.rows):
        assert f"| `{row.name}` |" in text, f"docs/performance.md does not explain {row.name}"
        assert f"| {row.show(row.budget)} | {row.show(row.aim)} |" in text

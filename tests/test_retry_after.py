"""When to ask again: the pace of a lane, where a job stands in it, and what polls and submits say of it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.jobs import SECOND
from coatcheck.engine.pace import Pace
from coatcheck.handlers.tickets import retry_after

from .clients import Client, client, request
from .jobs import Hands
from .owners import owners
from .servers import Gate, Upstream

Run = Callable[[Awaitable[Any]], Any]

HANG = "slow/hang"
SLOW = {"slow": {"kind": "echo", "concurrency": 2}}


def paced(seconds: float) -> Pace:
    pace = Pace()
    pace.note(seconds)
    return pace


def test_a_new_lane_knows_no_pace_but_starts_at_once_where_there_is_room() -> None:
    pace = Pace()
    assert pace.seconds is None
    assert pace.until_start(0, 1, 1) == 0
    assert pace.until_start(1, 1, 1) is None
    assert pace.until_end(5) is None


def test_the_pace_is_the_mean_of_the_first_calls_and_then_follows_the_latest() -> None:
    pace = Pace()
    for seconds in (1.0, 2.0, 6.0):
        pace.note(seconds)
    assert pace.seconds == pytest.approx(3.0)
    for _ in range(100):
        pace.note(10.0)
    assert pace.seconds == pytest.approx(10.0, rel=0.01)
    pace.note(0.0)
    assert pace.seconds == pytest.approx(9.0, rel=0.01), "one call is a tenth of it"


@pytest.mark.parametrize(
    ("ahead", "free", "slots", "seconds"),
    [(0, 1, 4, 0), (3, 4, 4, 0), (0, 0, 4, 0.5), (3, 0, 4, 2), (7, 0, 4, 4), (5, 2, 4, 2), (0, 0, 1, 2), (9, 0, 1, 20)],
)
def test_a_job_starts_when_those_before_it_have_had_their_slots(
    ahead: int, free: int, slots: int, seconds: float
) -> None:
    assert paced(2.0).until_start(ahead, free, slots) == seconds


@pytest.mark.parametrize(("elapsed", "seconds"), [(0, 10), (4, 6), (9.5, 0.95), (10, 1), (60, 6), (600, 60)])
def test_a_call_that_takes_longer_than_usual_is_asked_for_ever_less_often(elapsed: float, seconds: float) -> None:
    assert paced(10.0).until_end(elapsed) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "header"), [(None, "1"), (0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (60, "60"), (1e9, "60")]
)
def test_the_header_is_in_whole_seconds_from_one_to_a_minute(seconds: float | None, header: str) -> None:
    assert retry_after(seconds) == header


async def state(c: Client, id: str, wanted: str) -> Any:
    while (answer := await c.ask("GET", f"/v1/async/jobs/{id}")).json["status"] != wanted:
        pass
    return answer


def pace(c: Client, seconds: float) -> None:
    """Makes this the pace of the lane."""
    c.served.gateway.pool.lanes["slow"].pace.note(seconds)


def test_a_submit_to_a_free_lane_is_told_how_long_a_call_takes(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers={"slow": {"kind": "echo", "concurrency": 1}}) as c:
            body = request("embeddings", HANG)
            first = await c.ask("POST", "/v1/async/embeddings", body)
            assert first.headers["Retry-After"] == "1", "nothing is known yet"
            await c.ask("POST", f"/v1/async/jobs/{first.json['id']}/cancel")
            async with asyncio.timeout(30):
                while (seconds := c.served.gateway.pool.lanes["slow"].pace.seconds) is None:
                    await c.served.gateway.store.alarms()
            # The second call makes the mean of the two 10 seconds.
            pace(c, 20 - seconds)
            answers = [await c.ask("POST", "/v1/async/embeddings", body) for _ in range(3)]
            assert [answer.headers["Retry-After"] for answer in answers[:1]] == ["10"]
            assert [int(answer.headers["Retry-After"]) for answer in answers[1:]] == [20, 30]

    run(main())


def test_a_poll_is_told_what_is_left_of_the_call(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock, providers=SLOW) as c:
            id = await c.submit("embeddings", HANG)
            pace(c, 30)
            await state(c, id, "processing")
            for passed, left in ((0, "30"), (10, "20"), (19.5, "3"), (30.5, "6"), (540, "60"), (10_000, "60")):
                hands.pass_(passed)
                for path in (f"/v1/async/embeddings/{id}", f"/v1/async/jobs/{id}"):
                    assert (await c.ask("GET", path)).headers["Retry-After"] == left
            await c.ask("POST", f"/v1/async/jobs/{id}/cancel")
            assert "Retry-After" not in (await c.ask("GET", path)).headers

    run(main())


def test_a_held_job_is_told_when_it_is_tried_again(folder: Path, run: Run) -> None:
    async def main() -> None:
        async def busy(body: dict[str, Any]) -> web.StreamResponse:
            return web.json_response({}, status=503, headers={"Retry-After": "40"})

        async with Upstream(busy) as up:
            providers = {"up": {"kind": "openai", "base_url": up.url, "retries": 3}}
            async with client(folder, providers=providers) as c:
                id = await c.submit("chat/completions", "up/gpt")
                await up.asked.get()
                shown = await state(c, id, "pending")
                queue = shown.json["queue"]
                assert (queue["lane"], queue["reason"]) == ("up", "held")
                assert "position" not in queue
                assert "exact" not in queue
                assert 35 <= int(shown.headers["Retry-After"]) <= 42
                story = (await c.ask("GET", f"/v1/async/jobs/{id}?include=attempts")).json["attempts"]
                assert queue["starts_at"] == story[0]["run_at"]

    run(main())


def test_a_waiting_job_says_where_it_stands_and_when_it_starts(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock, providers=SLOW) as c:
            running = [await c.submit("embeddings", HANG) for _ in range(2)]
            for id in running:
                await state(c, id, "processing")
            ids = {
                name: await c.submit("embeddings", HANG, headers={"Priority": f"u={urgency}"})
                for name, urgency in (("third", 3), ("last", 7), ("fourth", 3), ("first", 0), ("second", 0))
            }
            shown = (await state(c, ids["first"], "pending")).json["queue"]
            assert shown == {
                "lane": "slow", "reason": "lane_full", "running": 2, "concurrency": 2, "position": 1, "exact": True,
            }  # fmt: skip
            pace(c, 4)
            for place, name in enumerate(("first", "second", "third", "fourth", "last"), 1):
                queue = (await state(c, ids[name], "pending")).json["queue"]
                assert queue["position"] == place
                starts_at = datetime.fromisoformat(queue["starts_at"]).timestamp() * SECOND
                assert starts_at == hands.wall + place * 2 * SECOND, "two slots of four seconds"
            await c.ask("POST", f"/v1/async/jobs/{ids['first']}/cancel")
            assert (await state(c, ids["last"], "pending")).json["queue"]["position"] == 4
            await c.ask("POST", f"/v1/async/jobs/{running[0]}/cancel")
            assert "queue" not in (await state(c, ids["second"], "processing")).json

    run(main())


def test_the_positions_of_many_owners_are_the_order_in_which_their_jobs_run(folder: Path, run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with Upstream(gate.answer) as up:
            providers = {"up": {"kind": "openai", "base_url": up.url, "concurrency": 1}}
            async with owners(folder, providers=providers) as by:
                await by.root.submit("chat/completions", "up/gpt", user="running")
                assert (await up.asked.get())["user"] == "running"
                ids = {}
                for number, (who, urgency) in enumerate(
                    [("alice", 3), ("alice", 1), ("bob", 5), ("root", 3), ("alice", 3), ("bob", 0), ("bob", 5)]
                ):
                    c, name = getattr(by, who), f"{who} {number}"
                    headers = {"Priority": f"u={urgency}"}
                    ids[name] = await c.submit("chat/completions", "up/gpt", user=name, headers=headers)
                places = {}
                for name, id in ids.items():
                    queue = (await by.root.ask("GET", f"/v1/async/jobs/{id}")).json["queue"]
                    assert queue["exact"]
                    places[queue["position"]] = name
                order = []
                for _ in ids:
                    gate.let(1)
                    order.append((await up.asked.get())["user"])
                assert [places[place] for place in sorted(places)] == order
                assert sorted(places) == list(range(1, len(ids) + 1))

    run(main())

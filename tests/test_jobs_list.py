"""The list of jobs: pages and cursors, filters, and whose jobs are in it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine import listing
from coatcheck.engine.listing import Filter

from .clients import Client, client
from .jobs import Hands, add, opened, submission
from .owners import owners

Run = Callable[[Awaitable[Any]], Any]

JOBS = "/v1/async/jobs"
HANG = "echo/hang"


async def ids(c: Client, query: str = "") -> list[str]:
    """The ids of all pages, newest first."""
    found: list[str] = []
    separator, cursor = ("&" if query else ""), ""
    while True:
        answer = await c.ask("GET", f"{JOBS}?{query}{separator}{cursor}".rstrip("?&"))
        assert answer.status == 200, answer.text
        assert set(answer.json) <= {"data", "next"}
        found += [job["id"] for job in answer.json["data"]]
        if "next" not in answer.json:
            return found
        separator, cursor = ("&" if query else ""), f"cursor={answer.json['next']}"


def test_an_empty_list_is_one_empty_page(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            assert (await c.ask("GET", JOBS)).json == {"data": []}

    run(main())


def test_jobs_are_shown_newest_first_without_their_outcomes(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            done, failed, cancelled, running = [
                await c.submit("embeddings", model) for model in ("echo/echo", "echo/status-418", HANG, HANG)
            ]
            for id in (done, failed):
                await c.ended(id, "embeddings")
            await c.ask("POST", f"{JOBS}/{cancelled}/cancel")
            while (await c.ask("GET", f"{JOBS}/{running}")).json["status"] != "processing":
                pass
            shown = (await c.ask("GET", JOBS)).json["data"]
            assert [job["id"] for job in shown] == [running, cancelled, failed, done]
            for job in shown:
                full = (await c.ask("GET", f"{JOBS}/{job['id']}")).json
                for key in ("result", "error", "progress"):
                    full.pop(key, None)
                assert job == {**full, "owner": "anon"}

    run(main())


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_the_pages_together_are_the_list(folder: Path, run: Run, limit: int) -> None:
    async def main() -> None:
        async with client(folder) as c:
            submitted = [await c.submit("embeddings") for _ in range(7)]
            assert await ids(c, f"limit={limit}") == submitted[::-1]
            sizes, cursor = [], ""
            while True:
                page = (await c.ask("GET", f"{JOBS}?limit={limit}{cursor}")).json
                sizes.append(len(page["data"]))
                if "next" not in page:
                    break
                cursor = f"&cursor={page['next']}"
            assert all(size == limit for size in sizes[:-1])
            assert sizes[-1] > 0, "the last page is not empty"

    run(main())


def test_a_cursor_stays_where_it_is_while_jobs_come_and_go(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            submitted = [await c.submit("embeddings") for _ in range(6)]
            first = (await c.ask("GET", f"{JOBS}?limit=2")).json
            await c.submit("embeddings")
            for id in (submitted[4], submitted[3]):
                await c.ended(id, "embeddings")
                await c.ask("DELETE", f"{JOBS}/{id}")
            second = (await c.ask("GET", f"{JOBS}?limit=2&cursor={first['next']}")).json
            assert [job["id"] for job in second["data"]] == [submitted[2], submitted[1]]

    run(main())


def test_each_filter_narrows_and_all_together(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        providers = {"echo": {"kind": "echo", "concurrency": 1, "retries": 0}, "second": {"kind": "echo"}}
        async with client(folder, clock=hands.clock, providers=providers) as c:
            made: dict[str, str] = {}

            async def make(name: str, operation: str, model: str, **more: Any) -> None:
                made[name] = await c.submit(operation, model, **more)
                hands.pass_(1)

            await make("done", "completions", "second/echo")
            await make("failed", "embeddings", "second/status-418")
            await make("moved", "embeddings", "echo/status-404", fallbacks=["second/echo"])
            for name, operation in (("done", "completions"), ("failed", "embeddings"), ("moved", "embeddings")):
                await c.ended(made[name], operation)
            await make("cancelled", "embeddings", "second/hang")
            await c.ask("POST", f"{JOBS}/{made['cancelled']}/cancel")
            await make("running", "embeddings", HANG)
            while (await c.ask("GET", f"{JOBS}/{made['running']}")).json["status"] != "processing":
                pass
            await make("pending", "embeddings", HANG)
            for query, expected in {
                "": "pending running cancelled moved failed done",
                "status=pending": "pending",
                "status=processing": "running",
                "status=completed": "moved done",
                "status=failed": "cancelled failed",
                "status=cancelled": "cancelled",
                "operation=completions": "done",
                "operation=chat/completions": "",
                "provider=echo": "pending running",
                "provider=second": "cancelled moved failed done",
                "model=echo/status-404": "moved",
                "model=ECHO/hang": "",
                f"id={made['failed'][:8]}": "failed",
                f"id={made['failed']}": "failed",
                "created_after=2030-01-01T00:00:01Z": "pending running cancelled moved",
                "created_after=2030-01-01T00:00:00.999999Z": "pending running cancelled moved failed",
                "created_before=2030-01-01T00:00:01Z": "done",
                "created_before=2030-01-01T02:00:01%2B02:00": "done",
                "created_before=2030-01-01T00:00:01": "done",
                "created_after=2029-12-31&created_before=2030-01-02": "pending running cancelled moved failed done",
                "owner=anon": "pending running cancelled moved failed done",
                "owner=key:nobody": "",
                "status=completed&operation=embeddings&provider=second&model=echo/status-404": "moved",
            }.items():
                for limit in ("", "limit=1"):
                    found = await ids(c, "&".join(part for part in (query, limit) if part))
                    assert found == [made[name] for name in expected.split()], query

    run(main())


def test_a_page_looks_at_a_few_thousand_rows_and_goes_on_where_it_stopped(folder: Path, run: Run) -> None:
    count = 2 * listing.SCAN + 10

    async def main() -> None:
        async with opened(folder) as store:
            rare = submission("rare")
            await add(store, rare)
            for start in range(0, count, 1000):
                await add(store, *(submission() for _ in range(start, min(start + 1000, count))))
            mine = submission("rare")
            await add(store, mine)
            found, before, pages = [], None, 0
            while True:
                page = await store.page(Filter(model="echo/rare"), before=before, limit=10)
                found += [job.id for job in page.jobs]
                pages += 1
                if page.next is None:
                    break
                before = page.next
            assert found == [mine.id, rare.id]
            assert pages == 3, "each looks at SCAN rows and no more"
            nothing = await store.page(Filter(model="echo/none"), before=None, limit=10)
            assert nothing.jobs == []
            assert nothing.next == count + 2 - listing.SCAN + 1, "the page is short, not the last"

    run(main())


def test_an_owner_sees_its_own_jobs_and_an_admin_all(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with owners(folder) as by:
            a1, b1, a2 = [await who.submit("embeddings") for who in (by.alice, by.bob, by.alice)]
            assert await ids(by.alice) == [a2, a1]
            assert await ids(by.bob, "limit=1") == [b1]
            assert await ids(by.root) == [a2, b1, a1]
            assert await ids(by.root, "owner=key:config/alice") == [a2, a1]
            assert await ids(by.alice, "owner=key:config/alice") == [a2, a1]
            assert await ids(by.alice, f"id={b1[:8]}") == []
            for owner in ("key:config/bob", "anon"):
                answer = await by.alice.ask("GET", f"{JOBS}?owner={owner}")
                assert (answer.status, answer.message) == (400, "owner: only an admin may ask for another owner's jobs")
                assert answer.json["error"]["param"] == "owner"
            assert [job["owner"] for job in (await by.root.ask("GET", JOBS)).json["data"]] == [
                "key:config/alice", "key:config/bob", "key:config/alice",
            ]  # fmt: skip
            assert all("owner" not in job for job in (await by.alice.ask("GET", JOBS)).json["data"])

    run(main())


def test_an_expired_job_is_not_listed_before_any_sweep(folder: Path, run: Run) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock) as c:
            id = await c.submit("embeddings", headers={"x-bf-async-job-result-ttl": "10"})
            await c.ended(id, "embeddings")
            hands.pass_(9)
            assert await ids(c) == [id]
            hands.pass_(1)
            assert await ids(c) == []

    run(main())


@pytest.mark.parametrize(
    ("query", "param", "reason"),
    [
        ("limit=0", "limit", "limit: Must be greater than or equal to 1 and less than or equal to 100."),
        ("limit=101", "limit", "limit: Must be greater than or equal to 1 and less than or equal to 100."),
        ("limit=", "limit", "limit: expected a whole number."),
        ("limit=-1", "limit", "limit: expected a whole number."),
        ("limit=1_0", "limit", "limit: expected a whole number."),
        ("limit=%D9%A1", "limit", "limit: expected a whole number."),
        ("limit=1&limit=2", "limit", "limit: given twice"),
        ("status=failed&status=completed", "status", "status: given twice"),
        ("cursor=x", "cursor", "cursor: expected a whole number."),
        ("cursor=" + "9" * 30, "cursor", "cursor: expected a whole number."),
        ("status=done", "status", "status: Must be one of: pending, processing, completed, failed, cancelled."),
        ("status=", "status", "status: Must be one of: "),
        ("created_after=yesterday", "created_after", "created_after: expected a time as 2026-01-31T12:00:00Z"),
        ("created_after=2026-01-01T00:00:00+02:00", "created_after", "created_after: expected a time as"),
        ("created_before=", "created_before", "created_before: expected a time as"),
        ("created_before=2026-13-01", "created_before", "created_before: expected a time as"),
        ("id=abc", "id", "id: expected 4 to 36 characters of an id."),
        ("id=%25%25%25%25", "id", "id: expected 4 to 36 characters of an id."),
        ("id=3c90%0A", "id", "id: expected 4 to 36 characters of an id."),
        ("stauts=failed", "stauts", "unknown parameter 'stauts'; did you mean 'status'?"),
        ("offset=20", "offset", "unknown parameter 'offset'; "),
        ("x" * 3000 + "=1", "x" * 40, "unknown parameter 'xxxx"),
    ],
)
def test_a_parameter_that_is_not_understood_is_a_400_that_names_it(
    folder: Path, run: Run, query: str, param: str, reason: str
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("GET", f"{JOBS}?{query}")
            assert (answer.status, answer.code) == (400, "invalid_request")
            assert answer.message.startswith(reason)
            assert len(answer.message) < 300
            assert answer.json["error"]["param"] == param

    run(main())


@pytest.mark.parametrize(
    "query",
    [
        "model=%00", "model=%FF", "model=%ED%A0%80", "model=" + "x" * 4000, "owner=%00", "provider='%3B--",
        "operation=%F0%9F%99%82", "created_after=0001-01-01T00:00:00%2B23:59",
        "created_before=9999-12-31T23:59:59-23:59",
        "created_after=9999-12-31", "cursor=0", "cursor=" + "9" * 18, "&&&=", "limit=%31",
    ],
)  # fmt: skip
def test_no_value_is_a_fault_of_the_server(folder: Path, run: Run, query: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            await c.submit("embeddings")
            assert (await c.ask("GET", f"{JOBS}?{query}")).status in (200, 400)

    run(main())


def test_a_value_that_can_match_nothing_is_refused(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for query, reason in (
                ("owner=carol", "owner: expected anon"),
                ("operation=chat", "operation: Must be one"),
            ):
                answer = await c.ask("GET", f"{JOBS}?{query}")
                assert (answer.status, answer.message[: len(reason)]) == (400, reason)
            id = await c.submit()
            answer = await c.ask("GET", f"{JOBS}/{id}?include=atempts")
            assert answer.message == "include: expected attempts or plan, got 'atempts'"

    run(main())

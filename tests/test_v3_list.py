"""The list of the v3 dialect's jobs: numbered pages, filters, and how many there are."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coatcheck.engine.numbered import Numbers

from .clients import Client, client
from .jobs import Hands, opened, rows
from .universal import ITEM_KEYS, JOBS, create, detail, embeddings

KEYS = {
    "keys": [
        {"name": "alice", "key": "sk-bf-alice"},
        {"name": "bob", "key": "sk-bf-bob"},
        {"name": "root", "key": "sk-bf-root", "admin": True},
    ]
}


async def ids(c: Client, query: str = "") -> list[str]:
    answer = await c.ask("GET", f"{JOBS}?{query}")
    assert answer.status == 200, answer.text
    assert set(answer.json) == {"items", "total", "page", "limit", "total_pages"}
    return [item["public_id"] for item in answer.json["items"]]


def test_a_page_has_its_five_keys_and_jobs_newest_first_without_outputs(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            empty = await c.ask("GET", JOBS)
            assert empty.json == {"items": [], "total": 0, "page": 1, "limit": 100, "total_pages": 0}
            made = [(await create(c, embeddings(f"echo/wait-0.0{n}")))["public_id"] for n in range(5)]
            await c.submit("embeddings")
            for path in (JOBS, f"{JOBS}/"):
                page = (await c.ask("GET", f"{path}?limit=2&page=2")).json
                assert [item["public_id"] for item in page["items"]] == [made[2], made[1]]
                assert {**page, "items": 0} == {"items": 0, "total": 5, "page": 2, "limit": 2, "total_pages": 3}
            for item in page["items"]:
                assert set(item) == ITEM_KEYS
            assert page["items"][0]["model"] == "wait-0.02"
            assert await ids(c, "page=4&limit=2") == []
            assert await ids(c) == made[::-1]

    run(main())


def test_filters_narrow_and_an_unknown_word_finds_nothing(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            done = (await create(c))["public_id"]
            failed = (await create(c, embeddings("echo/status-418")))["public_id"]
            running = (await create(c, embeddings("echo/hang"), wait=0))["public_id"]
            heard = {"model": "audio/speech_to_text/echo", "input": {"file": "data:text/plain;base64,aGVsbG8="}}
            spoken = (await create(c, heard))["public_id"]
            for query, found in (
                ("status=success", [spoken, done]),
                ("status=fail", [failed]),
                ("status=processing", [running]),
                ("status=queued", []),
                ("status=", [spoken, running, failed, done]),
                ("feature=audio", [spoken]),
                ("feature=text&status=fail", [failed]),
                ("feature=texts", []),
                ("subfeature=speech_to_text_async", [spoken]),
                ("subfeature=speech_to_text", [spoken]),
                ("feature=audio&subfeature=speech_to_text", [spoken]),
                ("feature=text&subfeature=speech_to_text", []),
                ("subfeature=embeddings&feature=text", [running, failed, done]),
                ("nobody=knows", [spoken, running, failed, done]),
            ):
                assert await ids(c, query) == found, query
                assert (await c.ask("GET", f"{JOBS}?{query}&limit=1")).json["total"] == len(found)

    run(main())


def test_everyone_lists_their_own_and_nothing_that_has_expired(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, auth=KEYS, clock=hands.clock) as c:
            alice, bob, root = (c.with_key(f"sk-bf-{name}") for name in ("alice", "bob", "root"))
            hers, his = (await create(alice))["public_id"], (await create(bob))["public_id"]
            assert (await ids(alice), await ids(bob), await ids(root)) == ([hers], [his], [])
            hands.pass_(7 * 86_400)
            page = (await c.with_key("sk-bf-alice").ask("GET", JOBS)).json
            assert (page["items"], page["total"]) == ([], 0)

    run(main())


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=1.0", "page"),
        ("page=٢", "page"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1_0", "limit"),
        ("page=1002&limit=100", "page"),
        ("page=999999999999999999", "page"),
        ("page=9999999999999999999", "page"),
    ],
)
def test_a_page_that_cannot_be_is_a_422_that_names_the_parameter(folder: Path, run: Any, query: str, name: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("GET", f"{JOBS}?{query}")
            assert answer.status == 422
            assert detail(answer)["loc"] == ["query", name]
            assert await ids(c, "page=1001&limit=100") == []

    run(main())


#: A hundred thousand jobs of one owner, all ended; every fourth has failed, every tenth has expired.
MANY = 100_000
FILL = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO job (id, dialect, operation, owner, state, model, targets, target, lane, priority, attempt, calls, tries,
    request_id, ttl_seconds, created_at, completed_at, expires_at, status_code)
SELECT printf('%08x-0000-4000-8000-000000000000', i), 'v3', 'text/embeddings', 'key:alice',
    CASE WHEN i % 4 THEN 'completed' ELSE 'failed' END, 'text/embeddings/echo', '[["echo","echo"]]', 0, 'echo', 3, 1, 1,
    1, 'r', 60, 1, 2, CASE WHEN i % 10 THEN 9000000000000000 ELSE 3 END, 200 FROM n
"""


def test_a_list_of_many_is_counted_by_its_index_alone_and_holds_up_no_poll(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with opened(folder):
            pass
        path = folder / "coatcheck.db"
        with closing(sqlite3.connect(path)) as db:
            db.execute(FILL, [MANY])
            db.commit()
        (plan,) = [
            row[3]
            for row in rows(
                path,
                "EXPLAIN QUERY PLAN SELECT COUNT(*) FROM job INDEXED BY job_of_v3 WHERE dialect = 'v3' AND owner = ?"
                " AND (expires_at IS NULL OR expires_at > ?) AND operation IN (?) AND state IN (?)",
                "key:alice", 1, "text/embeddings", "failed",
            )
        ]  # fmt: skip
        assert plan.startswith("SEARCH job USING COVERING INDEX job_of_v3")
        async with opened(folder) as store:
            asked = Numbers(owner="key:alice", operations=None, states=None, offset=80_000, limit=100)
            listing = asyncio.ensure_future(store.numbered(asked))
            polls = 0
            while not listing.done():
                assert await store.ticket("00000001-0000-4000-8000-000000000000", "key:alice") is not None
                polls += 1
            page = await listing
            assert (page.total, len(page.jobs)) == (MANY * 9 // 10, 100)
            assert [job.seq for job in page.jobs] == sorted((job.seq for job in page.jobs), reverse=True)
            assert polls > 0

    run(main())

"""Conditional polls: a tag that changes with what is shown, and an empty 304 while it does not (RFC 9110, 13.1.2)."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from coatcheck.engine.calls import Progress

from .clients import Client, client
from .owners import owners

Run = Callable[[Awaitable[Any]], Any]

HANG = "echo/hang"
ONE_SLOT = {"echo": {"kind": "echo", "concurrency": 1}}


async def started(c: Client, id: str) -> str:
    """The job's tag, once it runs."""
    while (answer := await c.ask("GET", f"/v1/async/jobs/{id}")).json["status"] == "pending":
        pass
    return str(answer.headers["ETag"])


def conditions(tag: str) -> list[tuple[str, bool]]:
    """Values of If-None-Match, and whether they match the tag."""
    return [
        (tag, True),
        (f"W/{tag}", True),
        ("*", True),
        (f'"a", "b",{tag} , W/"c"', True),
        (f'W/"a",W/{tag}', True),
        (f"  {tag}  ", True),
        (tag.strip('"'), False),
        (tag[:-2] + '"', False),
        (tag.upper() if tag.upper() != tag else tag[:-2], False),
        ('"a", "b"', False),
        ("", False),
        (",,,", False),
        ('"a",' * 99 + tag, True),
        # More than a client has: they are not all looked at, and the answer is the job.
        ('"a",' * 100 + tag, False),
        ('"' + "x" * 4000 + '"', False),
    ]


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_poll_that_names_the_tag_is_an_empty_304(folder: Path, run: Run, ended: bool, method: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", "echo/echo" if ended else HANG)
            await (c.ended(id, "embeddings") if ended else started(c, id))
            for path in (f"/v1/async/embeddings/{id}", f"/v1/async/jobs/{id}", f"/v1/async/jobs/{id}?include=attempts"):
                full = await c.ask("GET", path)
                tag = full.headers["ETag"]
                assert full.headers["Cache-Control"] == "private, no-cache"
                for condition, matches in conditions(tag):
                    answer = await c.ask(method, path, headers={"If-None-Match": condition})
                    assert answer.status == (304 if matches else full.status), condition
                    assert answer.headers["ETag"] == tag
                    assert answer.headers["Cache-Control"] == "private, no-cache"
                    assert answer.text == (b"" if matches or method == "HEAD" else full.text)
                    assert ("Retry-After" in answer.headers) == (not ended)

    run(main())


def test_the_tags_may_come_in_several_headers(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings")
            tag = (await c.ended(id, "embeddings")).headers["ETag"]
            headers = CIMultiDict([("If-None-Match", '"a"'), ("If-None-Match", tag)])
            async with c._session.get(f"{c.served.url}/v1/async/embeddings/{id}", headers=headers) as response:
                assert response.status == 304

    run(main())


def test_a_head_is_a_poll_without_its_body(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            ids = [await c.submit("embeddings"), await c.submit("embeddings", HANG)]
            await c.ended(ids[0], "embeddings")
            await started(c, ids[1])
            for id in ids:
                for path in (f"/v1/async/embeddings/{id}", f"/v1/async/jobs/{id}"):
                    get, head = await c.ask("GET", path), await c.ask("HEAD", path)
                    assert (head.status, head.text) == (get.status, b"")
                    for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control"):
                        assert head.headers[name] == get.headers[name]

    run(main())


def test_the_tag_changes_with_each_state(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers=ONE_SLOT) as c:
            running, id = [await c.submit("embeddings", HANG) for _ in range(2)]
            poll, tags = f"/v1/async/embeddings/{id}", []
            for state, then in (("pending", running), ("processing", id), ("failed", None)):
                while (answer := await c.ask("GET", poll)).json["status"] != state:
                    pass
                tags.append(answer.headers["ETag"])
                assert (await c.ask("GET", poll)).headers["ETag"] == tags[-1]
                if then is not None:
                    await c.ask("POST", f"/v1/async/jobs/{then}/cancel")
            assert len(set(tags)) == 3

    run(main())


def test_the_tag_of_a_job_changes_with_its_progress_its_place_and_its_attempts(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder, providers=ONE_SLOT) as c:
            running, first, second = [await c.submit("embeddings", HANG) for _ in range(3)]
            path, tags = f"/v1/async/jobs/{running}", [await started(c, running)]
            gateway = c.served.gateway
            ticket = await gateway.store.ticket(running, None)
            assert ticket is not None
            attempt = gateway.pool.attempt(ticket.job)
            assert attempt is not None
            for done in (1, 2):
                attempt.report(gateway.pool.watchers.progressed, Progress(done=done))
                known = {"If-None-Match": tags[-1]}
                assert (await c.ask("GET", path, headers=known)).status == 202
                tags.append((await c.ask("GET", path)).headers["ETag"])
            tags.append((await c.ask("GET", path + "?include=attempts")).headers["ETag"])
            assert len(set(tags)) == 4
            before = await c.ask("GET", f"/v1/async/jobs/{second}")
            await c.ask("POST", f"/v1/async/jobs/{first}/cancel")
            after = await c.ask("GET", f"/v1/async/jobs/{second}", headers={"If-None-Match": before.headers["ETag"]})
            assert (before.json["queue"]["position"], after.json["queue"]["position"]) == (2, 1)

    run(main())


def test_the_tag_is_the_same_after_a_restart(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            ids = [await c.submit("embeddings"), await c.submit("embeddings", "echo/status-418")]
            tags = [(await c.ended(id, "embeddings")).headers["ETag"] for id in ids]
        async with client(folder) as c:
            for id, tag in zip(ids, tags, strict=True):
                answer = await c.ask("GET", f"/v1/async/embeddings/{id}", headers={"If-None-Match": tag})
                assert answer.status == 304

    run(main())


def test_a_tag_opens_no_job_of_another_owner_and_none_that_is_gone(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with owners(folder) as by:
            id = await by.alice.submit("embeddings")
            known = {"If-None-Match": (await by.alice.ended(id, "embeddings")).headers["ETag"]}
            for path in (f"/v1/async/embeddings/{id}", f"/v1/async/jobs/{id}"):
                assert (await by.bob.ask("GET", path, headers=known)).status == 404
                assert (await by.bob.ask("GET", path, headers={"If-None-Match": "*"})).status == 404
                assert (await by.root.ask("GET", path, headers=known)).status == (304 if "embed" in path else 200)
            assert (await by.alice.ask("DELETE", f"/v1/async/jobs/{id}")).status == 204
            assert (await by.alice.ask("GET", path, headers=known)).status == 404

    run(main())


def test_a_cancel_is_carried_out_and_shown_whatever_tag_is_named(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = await c.submit("embeddings", HANG)
            answer = await c.ask("POST", f"/v1/async/jobs/{id}/cancel", headers={"If-None-Match": "*"})
            assert (answer.status, answer.json["state"]) == (200, "cancelled")

    run(main())

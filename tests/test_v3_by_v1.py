"""Jobs of the v3 dialect on the routes of `/v1/async/jobs`: there they are jobs as any other."""

import base64
from pathlib import Path
from typing import Any

from .clients import client
from .documents import events
from .universal import JOBS, create, embeddings

V1 = "/v1/async/jobs"
SPOKEN = {"model": "audio/tts/echo", "input": {"text": "hello"}}
HEARD = {"model": "audio/speech_to_text_async/echo", "input": {"file": "data:text/plain;base64,aGVsbG8="}}


def test_a_job_is_shown_and_listed_with_its_feature_as_the_operation(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            job = await create(c, embeddings("echo/status-418", fallbacks=["echo"]))
            shown = (await c.ask("GET", f"{V1}/{job['public_id']}?include=attempts,plan")).json
            assert (shown["status"], shown["operation"]) == ("completed", "text/embeddings")
            assert shown["model"] == "text/embeddings/echo/status-418"
            assert shown["result"]["items"] == job["output"]["items"]
            assert len(shown["attempts"]) == len(shown["plan"]["targets"]) == 2
            for query in ("", "?operation=text/embeddings"):
                (listed,) = (await c.ask("GET", f"{V1}{query}")).json["data"]
                assert listed["id"] == job["public_id"]
            assert (await c.ask("GET", f"{V1}?operation=embeddings")).json["data"] == []
            # Of no operation of v1, however much alike.
            assert (await c.ask("GET", f"/v1/async/embeddings/{job['public_id']}")).status == 404

    run(main())


def test_its_events_end_with_its_outcome(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await create(c))["public_id"]
            stream = (await c.ask("GET", f"{V1}/{id}/events")).text.decode()
            assert [event["event"] for event in events(stream)] == ["submitted", "claimed", "completed"]

    run(main())


def test_its_files_are_in_its_result_and_at_its_content(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            job = await create(c, SPOKEN)
            result = (await c.ask("GET", f"{V1}/{job['public_id']}")).json["result"]
            assert {key: result[key] for key in job["output"]} == job["output"]
            content = await c.ask("GET", f"{V1}/{job['public_id']}/content")
            assert content.text == base64.b64decode(job["output"]["audio"])

    run(main())


def test_it_is_cancelled_and_deleted_there(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = (await create(c, embeddings("echo/hang"), wait=0))["public_id"]
            assert (await c.ask("POST", f"{V1}/{id}/cancel")).json["state"] == "cancelled"
            assert (await c.ask("GET", f"{JOBS}/{id}")).json["state"] == "cancelled"
            assert (await c.ask("DELETE", f"{V1}/{id}")).status == 204
            assert (await c.ask("GET", f"{JOBS}/{id}")).status == 404

    run(main())


def test_what_is_done_again_is_of_the_same_dialect_with_its_files_and_its_receiver(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            store = c.served.gateway.store
            told = {"webhook_receiver": "https://hooks.example/", "user_webhook_parameters": {"a": 1}}
            for body, path in ((embeddings("echo/hang"), ""), ({**HEARD, "model": HEARD["model"] + "/hang"}, "x")):
                id = (await create(c, {**body, **told}, wait=0, x_bf_async_job_result_ttl="55"))["public_id"]
                await c.ask("POST", f"{V1}/{id}/cancel")
                again = await c.ask("POST", f"{V1}/{id}/retry")
                assert (again.status, again.json["parent"]) == (202, id)
                assert again.headers["Location"] == f"{V1}/{again.json['id']}"
                assert (await c.ask("GET", again.headers["Location"])).status == 202
                assert (await c.ask("GET", f"{JOBS}/{again.json['id']}")).json["status"] == "processing"
                old, new = [await store.ticket(one, None) for one in (id, again.json["id"])]
                assert old is not None
                assert new is not None
                assert (new.job.dialect, new.job.ttl_seconds, new.job.targets) == ("v3", 55, old.job.targets)
                first, second = await store.work(old.job.seq), await store.work(new.job.seq)
                assert first is not None
                assert second is not None
                assert (second.request, second.files) == (first.request, first.files)
                assert bool(second.files) == bool(path)
                hooks = [await store.outbox.hook(one.job.seq) for one in (old, new)]
                assert hooks[0] == hooks[1]
                assert hooks[1] is not None
                assert (hooks[1].url, hooks[1].parameters) == ("https://hooks.example/", b'{"a":1}')

    run(main())

"""Webhooks of the v1 dialect: what a receiver is sent, how it knows whose it is, and for which jobs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from coatcheck.schemas.operations import OPERATIONS

from .clients import Client, client
from .receivers import Got, Receiver
from .servers import Upstream, never

HERE = {"allow_private_networks": True}


@asynccontextmanager
async def told(folder: Path, *answers: Any, **tables: Any) -> AsyncIterator[tuple[Client, Receiver]]:
    """A client, and the receiver that its jobs can name; it is also the endpoint "orders"."""
    async with Receiver(*answers) as receiver:
        webhooks = {**HERE, "endpoints": [{"name": "orders", "url": receiver.url}], **tables.pop("webhooks", {})}
        async with client(folder, webhooks=webhooks, **tables) as c:
            yield c, receiver


async def secret(c: Client, path: str = "/v1/webhooks/secret") -> str:
    answer = await c.ask("GET", path)
    assert answer.status == 200, answer.text
    return str(answer.json["secret"])


def headers(got: Got) -> dict[str, str]:
    return {name.lower(): value for name, value in got.headers.items()}


def test_a_completed_job_is_told_with_its_result_as_a_poll_shows_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            id = await c.submit("embeddings", headers={"x-bf-async-webhook": f" {receiver.url} "})
            got = await receiver.got()
            poll = (await c.ended(id, "embeddings")).json
            assert got.json == {
                "event": "async_job.completed",
                "created_at": poll["completed_at"],
                "data": {
                    "job_id": id,
                    "request_type": "embedding",
                    "status": "completed",
                    "status_code": 200,
                    "result_url": f"/v1/async/embeddings/{id}",
                    "result_expires_at": poll["expires_at"],
                    "response": poll["result"],
                },
            }
            assert got.headers["Content-Type"] == "application/json"
            assert got.headers["X-Bifrost-Event"] == "async_job.completed"
            assert got.headers["User-Agent"] == "Coatcheck-Webhooks/1.0"

    run(main())


def test_whatever_the_operation_what_is_told_is_what_a_poll_shows(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            for operation in OPERATIONS.values():
                id = await c.submit(operation.name, headers={"x-bf-async-webhook": receiver.url})
                data = (await receiver.got()).json["data"]
                poll = (await c.ask("GET", data["result_url"])).json
                assert (data["job_id"], poll["id"], data["status"]) == (id, id, "completed"), operation.name
                assert data["request_type"] == poll["result"]["extra_fields"]["request_type"]
                assert data.get("response_omitted", False) is operation.answers_files
                assert data.get("response") == (None if operation.answers_files else poll["result"]), operation.name

    run(main())


def test_a_failed_job_is_told_with_its_error_as_a_poll_shows_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            id = await c.submit("embeddings", "echo/status-418", headers={"x-bf-async-webhook": receiver.url})
            got = await receiver.got()
            poll = (await c.ended(id, "embeddings")).json
            assert got.headers["X-Bifrost-Event"] == got.json["event"] == "async_job.failed"
            data = got.json["data"]
            assert (data["status"], data["status_code"], data["error"]) == ("failed", 418, poll["error"])
            assert not {"response", "response_omitted", "error_omitted", "state"} & data.keys()

    run(main())


def test_a_cancelled_job_is_told_as_failed_and_says_that_it_was_cancelled(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Upstream(never) as upstream:
            providers = {"slow": {"kind": "openai", "base_url": upstream.url}}
            async with told(folder, providers=providers) as (c, receiver):
                id = await c.submit("embeddings", "slow/any", headers={"x-bf-async-webhook": receiver.url})
                await upstream.asked.get()
                assert (await c.ask("POST", f"/v1/async/jobs/{id}/cancel")).status == 200
                data = (await receiver.got()).json["data"]
                assert (data["status"], data["state"], data["status_code"]) == ("failed", "cancelled", 499)
                assert data["error"] == (await c.ended(id, "embeddings")).json["error"]

    run(main())


def test_a_result_that_is_too_large_or_has_files_is_left_where_it_is(folder: Path, run: Any) -> None:
    async def main() -> None:
        base = {"server": {"base_url": "https://ai.example.com/coatcheck/"}}
        async with told(folder, webhooks={"max_payload_bytes": 1024}, **base) as (c, receiver):
            url = {"x-bf-async-webhook": receiver.url}
            large = await c.submit("embeddings", headers=url, input=["a coat"] * 20)
            got = await receiver.got()
            assert len(got.body) <= 1024
            data = got.json["data"]
            assert data["response_omitted"] is True
            assert "response" not in data
            assert data["result_url"] == f"https://ai.example.com/coatcheck/v1/async/embeddings/{large}"
            await c.submit("embeddings", headers=url, input="a")
            fits = await receiver.got()
            assert len(fits.body) <= 1024
            assert "response" in fits.json["data"]
            speech = await c.submit("audio/speech", headers=url)
            spoken = await receiver.got()
            assert spoken.json["data"]["job_id"] == speech
            assert spoken.json["data"]["response_omitted"] is True
            assert b"blob:" not in spoken.body

    run(main())


def test_the_signature_is_that_of_the_owner_whose_address_it_is(folder: Path, run: Any) -> None:
    async def main() -> None:
        keys = [{"name": "alice", "key": "sk-bf-alice"}, {"name": "bob", "key": "sk-bf-bob"}]
        async with told(folder, auth={"keys": keys}) as (c, receiver):
            alice, bob = c.with_key("sk-bf-alice"), c.with_key("sk-bf-bob")
            await alice.ask(
                "POST", "/v1/async/embeddings", {"model": "echo/echo", "input": "a"},
                {"x-bf-async-webhook": receiver.url},
            )  # fmt: skip
            got = await receiver.got()
            verified = Webhook(await secret(alice)).verify(got.body, headers(got))
            assert verified == got.json
            with pytest.raises(WebhookVerificationError):
                Webhook(await secret(bob)).verify(got.body, headers(got))
            with pytest.raises(WebhookVerificationError):
                Webhook(await secret(alice)).verify(got.body + b" ", headers(got))

    run(main())


def test_an_endpoint_of_the_configuration_has_a_secret_of_its_own(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            await c.submit(headers={"x-bf-async-webhook": "orders"})
            got = await receiver.got()
            its = await secret(c, "/v1/webhooks/endpoints/orders/secret")
            assert Webhook(its).verify(got.body, headers(got)) == got.json
            with pytest.raises(WebhookVerificationError):
                Webhook(await secret(c)).verify(got.body, headers(got))

    run(main())


def test_while_a_secret_changes_a_receiver_with_either_takes_what_comes(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            before = await secret(c)
            made = (await c.ask("POST", "/v1/webhooks/secret/rotate", {"overlap_seconds": 3600})).json
            assert made["secret"] != before
            assert made["earlier_secret_ends_at"] > made["created_at"]
            await c.submit(headers={"x-bf-async-webhook": receiver.url})
            got = await receiver.got()
            for known in (before, made["secret"]):
                assert Webhook(known).verify(got.body, headers(got)) == got.json
            now = (await c.ask("POST", "/v1/webhooks/secret/rotate", {"overlap_seconds": 0})).json
            assert "earlier_secret_ends_at" not in now
            await c.submit(headers={"x-bf-async-webhook": receiver.url})
            got = await receiver.got()
            assert Webhook(now["secret"]).verify(got.body, headers(got)) == got.json
            for gone in (before, made["secret"]):
                with pytest.raises(WebhookVerificationError):
                    Webhook(gone).verify(got.body, headers(got))

    run(main())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("nowhere", "failed to resolve webhook endpoint: there is no endpoint 'nowhere' in [[webhooks.endpoints]]"),
        ("ftp://example.com/a", "x-bf-async-webhook is no http or https address"),
        ("http://", "x-bf-async-webhook is no URL: it has no host, or none that can be"),
        ("https://example.com/" + "a" * 2083, "x-bf-async-webhook is not of 1 to 2083 characters"),
    ],
)
def test_a_receiver_that_cannot_be_is_refused_before_there_is_a_job(
    folder: Path, run: Any, given: str, reason: str
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            body = {"model": "echo/echo", "input": "a"}
            answer = await c.ask("POST", "/v1/async/embeddings", body, {"x-bf-async-webhook": given})
            assert (answer.status, answer.message) == (400, reason)
            assert answer.json["error"]["param"] == "x-bf-async-webhook"
            assert (await c.ask("GET", "/v1/async/jobs")).json == {"data": []}

    run(main())


def test_a_retry_tells_whom_its_parent_did_unless_it_names_another(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            first = await c.submit("embeddings", "echo/status-418", headers={"x-bf-async-webhook": receiver.url})
            assert (await receiver.got()).json["data"]["job_id"] == first
            again = (await c.ask("POST", f"/v1/async/jobs/{first}/retry")).json["id"]
            assert (await receiver.got()).json["data"]["job_id"] == again
            elsewhere = {"x-bf-async-webhook": f"{receiver.url}/elsewhere"}
            await c.ask("POST", f"/v1/async/jobs/{first}/retry", headers=elsewhere)
            assert (await receiver.got()).path == "/hook/elsewhere"

    run(main())


def test_the_routes_of_vendors_clients_tell_too(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            body = {"model": "echo/echo", "messages": [{"role": "user", "content": "hello"}]}
            waited = await c.ask("POST", "/v1/chat/completions", body, {"x-bf-async-webhook": receiver.url})
            assert waited.status == 200, waited.text
            assert (await receiver.got()).json["data"]["job_id"] == waited.headers["x-bf-job-id"]
            quick = {"x-bf-async-webhook": receiver.url, "x-bf-async": "1"}
            ticket = await c.ask("POST", "/v1/chat/completions", body, quick)
            assert (await receiver.got()).json["data"]["job_id"] == ticket.json["id"]

    run(main())


def test_nobody_is_told_who_was_not_named(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            await c.ended(await c.submit())
            named = await c.submit(headers={"x-bf-async-webhook": "orders"})
            assert (await receiver.got()).json["data"]["job_id"] == named
            await c.submit(headers={"x-bf-async-webhook": ""})
            last = await c.submit(headers={"x-bf-async-webhook": "orders"})
            assert (await receiver.got()).json["data"]["job_id"] == last
            found = (await c.ask("GET", "/v1/webhooks/deliveries")).json["data"]
            assert [one["job_id"] for one in found] == [last, named]

    run(main())

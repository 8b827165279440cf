"""Who is to be told of the end of a job of the v3 dialect: kept with the job."""

from pathlib import Path
from typing import Any

from coatcheck.engine.jobs import Hook

from .clients import Client, client
from .universal import JOBS, create, embeddings, refused

ENDPOINTS = {"endpoints": [{"name": "desk", "url": "https://desk.example/"}]}


async def hook(c: Client, body: Any, **headers: str) -> Hook | None:
    """Of the job that was made."""
    id = (await create(c, body, wait=0, **headers))["public_id"]
    ticket = await c.served.gateway.store.ticket(id, None)
    assert ticket is not None
    return await c.served.gateway.store.outbox.hook(ticket.job.seq)


def test_the_body_names_the_receiver_and_what_comes_back(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, webhooks=ENDPOINTS) as c:
            url, parameters = "https://hooks.example/a?b=c", {"order": 7, "who": {"é": None}}
            hang = "echo/hang"
            assert await hook(c, embeddings(hang)) is None
            assert await hook(c, embeddings(hang, webhook_receiver=None, user_webhook_parameters=None)) is None
            assert await hook(c, embeddings(hang, webhook_receiver=url)) == Hook(None, url, None)
            told = embeddings(hang, webhook_receiver=url, user_webhook_parameters=parameters)
            assert await hook(c, told) == Hook(None, url, '{"order":7,"who":{"é":null}}'.encode())
            # Nobody to give them to.
            assert await hook(c, embeddings(hang, user_webhook_parameters=parameters)) is None

    run(main())


def test_the_header_of_v1_counts_where_the_body_names_nobody(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, webhooks=ENDPOINTS) as c:
            url, hang = "https://hooks.example/", "echo/hang"
            assert await hook(c, embeddings(hang), x_bf_async_webhook="desk") == Hook("desk", None, None)
            both = embeddings(hang, webhook_receiver=url)
            assert await hook(c, both, x_bf_async_webhook="desk") == Hook(None, url, None)
            told = embeddings(hang, user_webhook_parameters={"a": 1})
            assert await hook(c, told, x_bf_async_webhook="desk") == Hook("desk", None, b'{"a":1}')
            # What was taken once is answered again, whatever has become of its receiver.
            given = {"Idempotency-Key": "one", "x-bf-async-webhook": "desk"}
            first = await c.ask("POST", JOBS, told, given)
            again = await c.ask("POST", JOBS, told, {**given, "x-bf-async-webhook": "nobody"})
            assert (again.status, again.json["public_id"]) == (202, first.json["public_id"])
            fault = await refused(c, embeddings(), 422, JOBS, {"x-bf-async-webhook": "nobody"})
            assert fault["loc"] == ["header", "x-bf-async-webhook"]

    run(main())

"""Who may use which route: the cases are made from the router and from what each handler declares."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.app import create_app
from coatcheck.handlers import dialects
from coatcheck.handlers.api import Declaration, Policy
from coatcheck.handlers.sdk import MESSAGES_PATHS
from coatcheck.schemas.operations import OPERATIONS

from .clients import ECHO, Client, client, form, request
from .jobs import Hands
from .owners import ADMIN, ALICE, AUTH, BOB

NOBODYS = "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"

#: The answers to those who may not: status, code.
NO_KEY = (401, "virtual_key_required")
UNKNOWN_KEY = (400, "virtual_key_not_found")
EXPIRED_KEY = (401, "virtual_key_expired")
NO_ADMIN = (403, "forbidden")
NO_JOB = (404, "job_not_found")
NO_DELIVERY = (404, "not_found")
#: The same of keys on the routes of vendors, in their words: an error's code, or its type where there are no codes.
VENDORS_WORDS = {dialects.OPENAI: (401, "invalid_api_key"), dialects.ANTHROPIC: (401, "authentication_error")}
#: And in Eden AI's: the detail.
EDENS_WORDS = {
    NO_KEY: (403, "Not authenticated"),
    UNKNOWN_KEY: (401, "Invalid token"),
    EXPIRED_KEY: (401, "Invalid token: virtual key has expired"),
    NO_JOB: (404, "Job not found"),
}

UNIVERSAL = "/v3/universal-ai"


def routes() -> Iterator[tuple[str, str, Policy | None]]:
    """Each route's method, path and policy."""
    for route in create_app({"providers": ECHO}).router.routes():
        assert isinstance(route.resource, web.Resource)
        yield route.method, route.resource.canonical, Declaration.of(route.handler).policy


def of(*policies: Policy) -> Any:
    """The routes with one of these policies, as cases."""
    cases = [(method, path) for method, path, policy in routes() if policy in policies]
    return pytest.mark.parametrize(("method", "path"), cases, ids=[f"{method} {path}" for method, path in cases])


def test_every_route_declares_who_may_use_it() -> None:
    assert [(method, path) for method, path, policy in routes() if policy is None] == []
    assert {policy for _, _, policy in routes()} == set(Policy)


def operation_of(path: str) -> str:
    """The operation whose jobs the path names, or that it submits."""
    found = re.fullmatch(r"(?:(?:/openai)?/v1/(?:async/)?|/v3/(?:llm/)?)(.+?)(/\{job_id\}.*)?", path)
    if found and found[1] in OPERATIONS:
        return found[1]
    if path in MESSAGES_PATHS:
        return "chat/completions"
    # Of jobs whose result has files, whatever their operation.
    return "audio/speech" if path.endswith("/content") else "embeddings"


def universal(path: str) -> dict[str, Any]:
    """A request for a job that the path can name; of one with a file, where the path is that of the file."""
    if path.endswith("/content"):
        return {"model": "audio/tts/echo", "input": {"text": "hello"}}
    return {"model": "text/embeddings/echo", "input": {"texts": ["hello"]}}


@dataclass(frozen=True)
class House:
    """A server with keys."""

    client: Client
    #: A token that was valid once.
    expired: str

    async def job(self, path: str) -> str:
        """A job of Alice's that the path can name, and that has ended."""
        operation, alice = operation_of(path), self.client.with_key(ALICE)
        if path.startswith(UNIVERSAL):
            made = await alice.ask("POST", f"{UNIVERSAL}/async", universal(path), {"Prefer": "wait=20"})
            assert made.json["status"] == "success", made.text
            return str(made.json["public_id"])
        id = await alice.submit(operation, headers={"x-bf-async-webhook": "late"} if "{delivery_id}" in path else {})
        await alice.ended(id, operation)
        if "{delivery_id}" in path:
            (delivery,) = (await alice.ask("GET", f"/v1/webhooks/deliveries?job_id={id}")).json["data"]
            return str(delivery["id"])
        return id

    async def ask(self, method: str, path: str, key: str | None, id: str = NOBODYS) -> tuple[int, str | None]:
        """Asks what would do, were it not for the key; the status, and the code of an error. An answer to HEAD has
        none."""
        submits = method == "POST" and path.endswith((*OPERATIONS, *MESSAGES_PATHS))
        body: Any = request(operation_of(path)) if submits else None
        if path.rstrip("/") in (UNIVERSAL, f"{UNIVERSAL}/async"):
            body = universal(path)
        if path.startswith("/v3/upload") and method == "POST":
            body = {"file_ids": [NOBODYS]} if "delete" in path else form({"file": b"hello"})
        feature = {"feature": "text", "subfeature": "embeddings"}
        filled = path.format(job_id=id, delivery_id=id, name="late", asset="page.css", model="echo/echo", **feature)
        answer = await self.client.ask(method, filled, body, {"x-bf-vk": key} if key else None)
        if answer.status < 400 or method == "HEAD":
            return answer.status, None
        if dialects.of_path(path) is dialects.BIFROST:
            assert answer.message
            return answer.status, answer.code
        if dialects.of_path(path) is dialects.EDEN:
            return answer.status, answer.json["detail"]
        error = answer.json["error"]
        assert error["message"]
        return answer.status, error.get("code", error["type"])


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    hands = Hands()
    # Nothing is sent there: it is no public address.
    webhooks = {"endpoints": [{"name": "late", "url": "http://127.0.0.1:9/"}]}
    async with client(folder, auth=AUTH, webhooks=webhooks, clock=hands.clock) as c:
        late = {"name": "late", "expires_in_seconds": 60, "admin": True}
        made = await c.with_key(ADMIN).ask("POST", "/v1/keys", late)
        hands.pass_(61)
        yield House(c, made.json["key"])


def seen(method: str, expected: tuple[int, str], path: str = "") -> tuple[int, str | None]:
    """What is seen of the answer that is expected; of a path with its own words for it, in those."""
    dialect = dialects.of_path(path)
    status, code = EDENS_WORDS[expected] if dialect is dialects.EDEN else VENDORS_WORDS.get(dialect, expected)
    return (status, None) if method == "HEAD" else (status, code)


@of(Policy.PUBLIC)
def test_a_public_route_takes_anyone(folder: Path, run: Any, method: str, path: str) -> None:
    async def main() -> None:
        async with house(folder) as h:
            for key in (None, "sk-bf-wrong", h.expired):
                status, _ = await h.ask(method, path, key)
                assert status == 200, key

    run(main())


@of(Policy.KEY)
def test_a_route_with_a_key_takes_whoever_has_one(folder: Path, run: Any, method: str, path: str) -> None:
    async def main() -> None:
        async with house(folder) as h:
            assert await h.ask(method, path, None) == seen(method, NO_KEY, path)
            assert await h.ask(method, path, "sk-bf-wrong") == seen(method, UNKNOWN_KEY, path)
            assert await h.ask(method, path, h.expired) == seen(method, EXPIRED_KEY, path)
            for key in (ALICE, ADMIN):
                status, _ = await h.ask(method, path, key)
                assert status in (200, 202), key

    run(main())


@of(Policy.OWNER)
def test_a_route_of_a_job_takes_its_owner_and_admins(folder: Path, run: Any, method: str, path: str) -> None:
    async def main() -> None:
        async with house(folder) as h:
            id, none = await h.job(path), NO_DELIVERY if "{delivery_id}" in path else NO_JOB
            assert await h.ask(method, path, None, id) == seen(method, NO_KEY, path)
            # Who has no valid key is told so by Eden AI, and by Bifrost that there is no such job.
            eden = dialects.of_path(path) is dialects.EDEN
            for key, why in (("sk-bf-wrong", UNKNOWN_KEY), (h.expired, EXPIRED_KEY), (BOB, none)):
                assert await h.ask(method, path, key, id) == seen(method, why if eden else none, path), key
            for key in (ALICE, ADMIN):
                # There is nothing to be cancelled or repeated: that is told to those who may see the job.
                assert (await h.ask(method, path, key, await h.job(path)))[0] in (200, 202, 204, 409), key
                assert await h.ask(method, path, key) == seen(method, none, path)

    run(main())


@of(Policy.ADMIN)
def test_a_route_of_admins_takes_nobody_else(folder: Path, run: Any, method: str, path: str) -> None:
    async def main() -> None:
        async with house(folder) as h:
            assert await h.ask(method, path, None) == seen(method, NO_KEY)
            assert await h.ask(method, path, "sk-bf-wrong") == seen(method, UNKNOWN_KEY)
            assert await h.ask(method, path, h.expired) == seen(method, EXPIRED_KEY)
            assert await h.ask(method, path, ALICE) == seen(method, NO_ADMIN)
            assert (await h.ask(method, path, ADMIN))[0] not in (401, 403, 404, 500)

    run(main())

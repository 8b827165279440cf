"""The API's document: it is valid, complete, and what the server does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from jsonschema import ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator

from coatcheck.app import create_app
from coatcheck.engine import errors
from coatcheck.engine.deliveries import Delivery
from coatcheck.handlers.api import Declaration
from coatcheck.handlers.sdk import CHAT_PATH, MESSAGES_PATHS, PREFIXES
from coatcheck.schemas.features.table import FEATURES
from coatcheck.schemas.operations import OPERATIONS

from .clients import ECHO, Client, client, request
from .documents import Document, document, events
from .jobs import Hands

ROOT = Path(__file__).parent.parent

#: Headers that handlers read and that are no part of the API: HTTP's own, and what browsers say of themselves.
HTTPS_OWN = {
    "accept", "accept-encoding", "authorization", "content-encoding", "content-type", "host", "origin",
    "sec-fetch-site",
}  # fmt: skip

NOBODYS = "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"


def operations(found: Document) -> Iterator[tuple[str, str, Any]]:
    for path, item in found.paths.items():
        for method, operation in item.items():
            yield method, path, operation


def contents(found: Document) -> Iterator[tuple[str, Any]]:
    """What requests and answers hold, and what receivers of webhooks are sent, with where it is."""
    for name, item in found.content["webhooks"].items():
        yield name, item["post"]["requestBody"]["content"]
    for method, path, operation in operations(found):
        if "requestBody" in operation:
            yield f"{method} {path}", operation["requestBody"]["content"]
        for status, response in operation["responses"].items():
            if "content" in response:
                yield f"{method} {path} {status}", response["content"]


def test_the_document_is_valid(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            found = await document(c)
            OpenAPIV31SpecValidator(found.content).validate()
            assert found.content["openapi"] == "3.1.0"
            ids = [operation["operationId"] for _, _, operation in operations(found)]
            assert len(ids) == len(set(ids))

    run(main())


def test_every_route_is_in_the_document_and_no_other(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            found = await document(c)
            routed = {
                (route.method.lower(), route.resource.canonical)
                for route in c.served.app.router.routes()
                if route.method != "HEAD"
                and route.resource is not None
                # Those that end with a slash are others once more.
                and not route.resource.canonical.endswith("/")
            }
            assert {(method, path) for method, path, _ in operations(found)} == routed
            for method, path, operation in operations(found):
                assert operation["summary"], f"{method} {path}"
                tags = {tag["name"] for tag in found.content["tags"]}
                assert set(operation["tags"]) <= tags, f"{method} {path}"

    run(main())


def test_every_description_is_that_of_a_route() -> None:
    written = {
        name
        for path in (ROOT / "handlers").glob("*descriptions.py")
        for node in ast.parse(path.read_text()).body
        for name in named(node)
        if not name.startswith("_")
    }
    routes = create_app({"providers": ECHO}).router.routes()
    assert {Declaration.of(route.handler).description for route in routes} == written


def named(node: ast.stmt) -> list[str]:
    """The names that the statement of a module gives to what it makes."""
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def test_every_refusal_is_in_the_document(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            found = await document(c)
            known = found.content["components"]["schemas"]["RefusalDetails"]["properties"]["code"]["enum"]
            kinds = [errors.Refusal]
            for kind in kinds:
                kinds.extend(kind.__subclasses__())
            assert {kind.code for kind in kinds if kind.__module__ == errors.__name__} <= set(known)

    run(main())


def test_every_header_that_handlers_read_is_in_the_document(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            found = await document(c)
            known = {
                parameter["name"].lower()
                for _, _, operation in operations(found)
                for parameter in operation.get("parameters", ())
            }
            schemes = found.content["components"]["securitySchemes"].values()
            known |= {scheme["name"].lower() for scheme in schemes if scheme["type"] == "apiKey"}
            assert {scheme["scheme"] for scheme in schemes if scheme["type"] == "http"} == {"bearer", "basic"}
            sources = [*(ROOT / "handlers").glob("*.py"), ROOT / "engine/trace.py"]
            text = "\n".join(path.read_text() for path in sources)
            reads = (
                r'(?:headers|given)\.get(?:all)?\("([\w-]+)"',
                r'"([\w-]+)" (?:not )?in (?:request\.)?headers\b(?!\.)',
                r'istr\("([\w-]+)"\)',
                r"headers\.get(?:all)?\(hdrs\.(\w+)",
            )
            read = {name.lower().replace("_", "-") for pattern in reads for name in re.findall(pattern, text)}
            assert {"prefer", "priority", "cancel-after", "last-event-id", "x-request-id"} <= read
            assert read - HTTPS_OWN <= known

    run(main())


def test_every_example_is_of_its_schema(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            found = await document(c)
            for where, content in contents(found):
                for media in content.values():
                    assert media["examples"], where
                    for title, example in media["examples"].items():
                        values = [example["value"]]
                        if "StreamedEvent" in str(media["schema"]):
                            values = events(example["value"])
                            assert values
                        try:
                            for value in values:
                                found.check(value, media["schema"])
                        except ValidationError as error:
                            raise AssertionError(f"{where}: {title}: {error.message}") from error

    run(main())


def test_a_list_in_a_form_is_sent_as_fields_of_one_name(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            paths = (await document(c)).paths
            body = paths["/v1/async/audio/transcriptions"]["post"]["requestBody"]["content"]["multipart/form-data"]
            repeated = {"style": "form", "explode": True}
            assert body["encoding"] == dict.fromkeys(("fallbacks", "timestamp_granularities", "include"), repeated)

    run(main())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_examples_of_requests_run(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            found, path = await document(c), f"/v1/async/{operation}"
            (content,) = found.paths[path]["post"]["requestBody"]["content"].values()
            assert len(content["examples"]) >= 2
            for title, example in content["examples"].items():
                taken = await c.ask("POST", path, filled(operation, example["value"]))
                assert taken.status == 202, f"{title}: {taken.text!r}"
                found.conforms("POST", path, taken)
                ended = await c.ended(taken.json["id"], operation)
                found.conforms("GET", f"{path}/{taken.json['id']}", ended)
                assert ended.json["status"] == "completed", f"{title}: {ended.text!r}"

    run(main())


def filled(operation: str, example: dict[str, Any]) -> dict[str, Any]:
    """The example with files where the document can only say that there are some."""
    files = OPERATIONS[operation].files
    texts = {name: value for name, value in example.items() if name not in files}
    many = {name: value if isinstance(value, list) else [value] for name, value in example.items() if name in files}
    return texts | {name: [text.encode() for text in values] for name, values in many.items()}


class Tour:
    """Asks, holds each answer against the document, and notes which of its answers were seen."""

    def __init__(self, c: Client, found: Document) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._client, self._document = c, found

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self._client.ask(method, path, body, given)
        self._document.conforms(method, path, answer)
        route = self._document.paths[self._document.route(path.partition("?")[0])]
        self.seen.add((route[method.lower()]["operationId"], answer.status))
        return answer

    async def submit(self, operation: str, model: str, **headers: str) -> str:
        answer = await self.ask("POST", f"/v1/async/{operation}", request(operation, model), **headers)
        return str(answer.json["id"])

    async def same(self, path: str) -> None:
        """Asks twice, the second time for what has changed."""
        answer = await self.ask("GET", path)
        await self.ask("GET", path, If_None_Match=answer.headers["ETag"])

    async def operation(self, name: str) -> None:
        done = await self.submit(name, "echo/echo", Prefer="wait=5", Idempotency_Key=name, x_request_id="mine")
        assert await self.submit(name, "echo/echo", Prefer="respond-async", Idempotency_Key=name) == done
        await self.ask("POST", f"/v1/async/{name}", request(name, user="other"), Idempotency_Key=name)
        await self.ask("POST", f"/v1/async/{name}", request(name, "nobody/x"))
        failed = await self.submit(name, "echo/status-400", Prefer="wait=5")
        running = await self.submit(name, "slow/hang", Cancel_After="1h")
        waiting = await self.submit(name, "slow/echo", Priority="u=7", x_bf_async_job_result_ttl="60")
        for id in (done, failed, running, waiting):
            await self.same(f"/v1/async/{name}/{id}")
            await self.same(f"/v1/async/jobs/{id}?include=attempts")
        await self.ask("GET", f"/v1/async/{name}/{NOBODYS}")
        await self.ask("DELETE", f"/v1/async/jobs/{waiting}")
        for id in (waiting, running, done):
            await self.ask("POST", f"/v1/async/jobs/{id}/cancel")
        for id in (done, failed, NOBODYS):
            await self.ask("POST", f"/v1/async/jobs/{id}/retry", Prefer="wait=5")
        await self.ask("POST", f"/v1/async/jobs/{failed}/retry")
        await self.ask("POST", f"/v1/async/jobs/{failed}/retry", Idempotency_Key=name)
        for last in ({}, {"Last_Event_ID": "1"}, {"Last_Event_ID": "99"}):
            await self.ask("GET", f"/v1/async/jobs/{running}/events", **last)
        for method, what in (("DELETE", ""), ("POST", "/cancel"), ("GET", "/events"), ("GET", "")):
            await self.ask(method, f"/v1/async/jobs/{NOBODYS}{what}")
        await self.ask("DELETE", f"/v1/async/jobs/{running}")

    async def vendor(self, path: str, name: str) -> None:
        """A route that answers with results; `name` is that of its operation."""

        def body(model: str = "echo/echo", **more: str) -> Any:
            return {**request(name, model), **more}

        await self.ask("POST", path, body(), Idempotency_Key=path, x_request_id="mine")
        await self.ask("POST", path, body(), Idempotency_Key=path)
        await self.ask("POST", path, body(user="other"), Idempotency_Key=path)
        await self.ask("POST", path, body("echo/status-409"))
        await self.ask("POST", path, body("nobody/x"))
        await self.ask("POST", path, b"{")
        promised = await self.ask("POST", path, body("slow/hang"), x_bf_async="true", Cancel_After="1h")
        for id in (promised.json["id"], NOBODYS):
            await self.ask("POST", path, body(), x_bf_async_id=id)
        await self.ask("POST", f"/v1/async/jobs/{promised.json['id']}/cancel")
        await self.ask("POST", path, body(), x_bf_async_id=promised.json["id"])

    async def models(self) -> None:
        for path in ("/v1/models", "/openai/v1/models", "/anthropic/v1/models"):
            for what in ("", "/echo%2Fecho", "/nobody"):
                await self.ask("GET", f"{path}{what}")
        await self.ask("GET", "/anthropic/v1/models?limit=0")
        for path in ("/v3/models", "/v3/models?view=models", "/v3/models/echo%2Fecho", "/v3/models/x"):
            await self.ask("GET", path)
        for surface in ("llm", "embeddings", "images", "audio/speech", "audio/transcriptions", "moderations"):
            await self.ask("GET", f"/v3/{surface}/models")

    async def features(self) -> None:
        for path in ("", "?include=schemas", "/text", "/text?include=schemas", "/nothing", "/audio/tts/voices"):
            await self.ask("GET", f"/v3/info{path}")
        for feature in FEATURES:
            for query in ("", "?format=json_schema", "?format=xml"):
                await self.ask("GET", f"/v3/info/{feature}{query}")

    async def universal(self) -> None:
        """Features, in the words of Eden AI."""

        def body(model: str = "echo/echo", **more: Any) -> Any:
            return {"model": f"text/embeddings/{model}", "input": {"texts": ["hello"]}, **more}

        jobs = "/v3/universal-ai/async"
        read = {"model": "audio/speech_to_text_async/echo", "input": {"file": NOBODYS}}
        for path in (jobs, "/v3/universal-ai"):
            given = {"Idempotency_Key": path, "x_request_id": "mine", "x_edenai_metadata": "enabled"}
            await self.ask("POST", path, body(), **given)
            await self.ask("POST", path, body(tags={"team": "a"}), **given)
            await self.ask("POST", path, body(show_original_response=True), **given)
            await self.ask("POST", path, body("echo/status-409"), X_EdenAI_Tags="team=a")
            for wrong in (b"{", body("nobody"), body(tags={"eden:a": "b"}), body(fallbacks=["echo"] * 4), read):
                await self.ask("POST", path, wrong)
        done = (await self.ask("POST", jobs, body(fallbacks=["echo"]), Prefer="wait=5")).json["public_id"]
        failed = (await self.ask("POST", jobs, body("echo/status-400"), Prefer="wait=5")).json["public_id"]
        running = (await self.ask("POST", jobs, body("slow/hang"), Cancel_After="1h")).json["public_id"]
        waiting = (await self.ask("POST", jobs, body("slow/echo"), Prefer="respond-async")).json["public_id"]
        for id in (done, failed, running, waiting):
            await self.same(f"{jobs}/{id}")
            await self.same(f"/v1/async/jobs/{id}?include=attempts")
        for query in ("", "?feature=text&subfeature=embeddings&status=fail", "?page=0"):
            await self.ask("GET", f"{jobs}{query}")
        await self.ask("DELETE", f"{jobs}/{running}")
        for id in (waiting, running, done, NOBODYS, "x"):
            await self.ask("POST", f"{jobs}/{id}/cancel")
        await self.ask("POST", f"/v1/async/jobs/{failed}/retry")
        for id in (running, NOBODYS, "x"):
            await self.ask("DELETE", f"{jobs}/{id}")
            await self.ask("GET", f"{jobs}/{id}")
        said = (await self.ask("POST", jobs, {"model": "audio/tts/echo", "input": {"text": "a"}}, Prefer="wait=5")).json
        busy = (await self.ask("POST", jobs, {"model": "audio/tts/slow/hang", "input": {"text": "a"}})).json
        path = f"{jobs}/{said['public_id']}/content"
        await self.same(path)
        await self.ask("GET", f"{path}?index=0", Range="bytes=0-3")
        await self.ask("GET", path, Range="bytes=999999-")
        for what in (f"{path}?index=7", f"{path}?index=x", f"{jobs}/{busy['public_id']}/content"):
            await self.ask("GET", what)
        await self.ask("POST", f"{jobs}/{busy['public_id']}/cancel")

    async def content(self, name: str) -> None:
        """The files of results, by way of their operation and of the jobs."""
        done = await self.submit(name, "echo/echo", Prefer="wait=5")
        running = await self.submit(name, "slow/hang")
        for path in (f"/v1/async/{name}", "/v1/async/jobs"):
            await self.same(f"{path}/{done}/content")
            await self.ask("GET", f"{path}/{done}/content?index=0", Range="bytes=0-3")
            await self.ask("GET", f"{path}/{done}/content", Range="bytes=999999-")
            await self.ask("GET", f"{path}/{done}/content?index=7")
            await self.ask("GET", f"{path}/{done}/content?index=x")
            await self.ask("GET", f"{path}/{running}/content")
        await self.ask("POST", f"/v1/async/jobs/{running}/cancel")

    async def uploads(self) -> None:
        path = "/v3/upload"
        for days in ("7", "none"):
            sent = aiohttp.FormData({"expires_in_days": days}, default_to_multipart=True)
            sent.add_field("file", b"hello", filename="hello.txt")
            await self.ask("POST", path, sent)
        await self.ask("POST", path, b"{}")
        for query in ("?limit=1", "?page=0"):
            await self.ask("GET", f"{path}{query}")
        for ids in ([NOBODYS], []):
            await self.ask("POST", f"{path}/delete", {"file_ids": ids})
        await self.ask("DELETE", path)

    async def webhooks(self) -> None:
        """Nothing is sent: the endpoints have no public address."""
        told = "/v1/webhooks/deliveries"
        for name in ("orders", "stock"):
            await self.submit("embeddings", "echo/echo", Prefer="wait=5", x_bf_async_webhook=name)
        first = (await self.ask("GET", f"{told}?limit=1&endpoint=orders")).json["data"][0]["id"]
        await self.ask("GET", f"{told}?limit=0")
        for id in (first, NOBODYS):
            await self.ask("GET", f"{told}/{id}")
            await self.ask("POST", f"{told}/{id}/replay")
        await self.ask("POST", f"{told}/replay", {"endpoint": "stock"})
        await self.ask("POST", f"{told}/replay", {"state": "due"})
        await self._client.served.gateway.store.outbox.give_up(await self._delivery(first), "it answered 410")
        await self.ask("POST", f"{told}/{first}/replay")
        await self.ask("POST", f"{told}/replay", {"endpoint": "orders"})
        await self.ask("GET", "/v1/webhooks/endpoints")
        for name in ("orders", "stock", "nowhere"):
            await self.ask("GET", f"/v1/webhooks/endpoints/{name}/secret")
            await self.ask("POST", f"/v1/webhooks/endpoints/{name}/rotate")
            await self.ask("POST", f"/v1/webhooks/endpoints/{name}/enable")
        await self.ask("GET", "/v1/webhooks/secret")
        await self.ask("POST", "/v1/webhooks/secret/rotate", {"overlap_seconds": 60})
        await self.ask("GET", "/v3/webhooks/public-key")

    async def _delivery(self, id: str) -> Delivery:
        found = await self._client.served.gateway.store.outbox.delivery(id, None)
        assert found is not None
        return found

    async def lists(self) -> None:
        for query in ("limit=2", "status=pending&operation=embeddings&created_after=2020-01-01", "limit=0"):
            await self.ask("GET", f"/v1/async/jobs?{query}")
        for path in ("/v1/providers", "/healthz", "/readyz", "/metrics", "/docs/none"):
            await self.ask("GET", path)
        for path in ("/openapi.json", "/docs", "/docs/page.css"):
            await self.same(path)

    async def keys(self, hands: Hands) -> None:
        token = (await self.ask("POST", "/v1/keys", {"name": "me", "admin": True})).json["key"]
        key = {"x_bf_vk": token}
        limits = {"max_concurrency": 1, "requests_per_minute": 600, "max_pending": 5}
        made = await self.ask("POST", "/v1/keys", {"name": "a", "expires_in_seconds": 60, "limits": limits}, **key)
        await self.ask("POST", "/v1/async/embeddings", request("embeddings"), x_bf_vk=made.json["key"])
        await self.ask("POST", "/v1/keys", {"name": "a"}, **key)
        await self.ask("POST", "/v1/keys", {"nam": "a"}, **key)
        await self.ask("POST", "/v1/keys/a/rotate", {"overlap_seconds": 60}, **key)
        await self.ask("GET", "/v1/keys", **key)
        await self.ask("GET", "/v1/keys")
        await self.ask("GET", "/v1/async/jobs", **key)
        hands.pass_(61)
        await self.ask("POST", "/v1/keys/a/rotate", **key)
        for _ in range(2):
            await self.ask("DELETE", "/v1/keys/a", **key)
        await self.ask("POST", "/v1/keys/a/rotate", **key)


def test_every_answer_of_the_document_can_be_had_and_is_as_it_says(
    folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        hands, slow = Hands(), {"kind": "echo", "concurrency": 1}
        monkeypatch.setenv("STOCK_SECRET", "whsec_" + "a" * 44)
        endpoints = [
            {"name": "orders", "url": "http://127.0.0.1:9/"},
            {"name": "stock", "url": "http://127.0.0.1:9/", "secret_env": "STOCK_SECRET"},
        ]
        told = {"endpoints": endpoints}
        async with client(folder, clock=hands.clock, providers={**ECHO, "slow": slow}, webhooks=told) as c:
            found = await document(c)
            tour = Tour(c, found)
            for operation in OPERATIONS:
                await tour.operation(operation)
                if OPERATIONS[operation].answers_files:
                    await tour.content(operation)
                for prefix in PREFIXES:
                    await tour.vendor(f"{prefix}/{operation}", operation)
            for path in (*MESSAGES_PATHS, CHAT_PATH):
                await tour.vendor(path, "chat/completions")
            await tour.models()
            await tour.features()
            await tour.universal()
            await tour.uploads()
            await tour.webhooks()
            await tour.lists()
            await tour.keys(hands)
            promised = {
                (operation["operationId"], int(status))
                for _, _, operation in operations(found)
                for status in operation["responses"]
                if status.isdigit() and (int(status) < 400 or int(status) in (404, 409, 422))
            }
            assert promised - tour.seen == set()

    run(main())


def test_other_methods_are_answered_as_the_document_says(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            found = await document(c)
            for path, item in found.paths.items():
                for method in {"get", "post", "put", "delete", "patch"} - set(item):
                    answer = await c.ask(method.upper(), re.sub(r"\{\w+\}", "x", path))
                    assert answer.status == 405, f"{method} {path}: {answer.text!r}"
                    found.conforms(method.upper(), path, answer)

    run(main())


def test_the_document_is_not_sent_again_while_it_is_the_same(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            first = await c.ask("GET", "/openapi.json")
            again = await c.ask("GET", "/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
            assert (again.status, again.text) == (304, b"")
            other = await c.ask("GET", "/openapi.json", headers={"If-None-Match": '"another"'})
            assert (other.status, other.text) == (200, first.text)

    run(main())


def test_where_it_is_mounted_the_document_says_so(folder: Path, run: Any) -> None:
    async def main() -> None:
        root = web.Application()
        root.add_subapp("/ai", create_app({"providers": ECHO}, data=folder))
        runner = web.AppRunner(root)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/ai"
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{url}/openapi.json") as answer:
                    found = await answer.json()
                assert found["servers"] == [{"url": "/ai"}]
                assert "/v1/async/embeddings" in found["paths"]
                async with session.get(f"{url}/healthz") as answer:
                    assert answer.status == 200
        finally:
            await runner.cleanup()

    run(main())

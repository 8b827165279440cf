"""A client of a gateway, as a person with curl would be: plain requests, plain answers."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from coatcheck.app import create_app
from coatcheck.handlers.gateway import GATEWAY

from .servers import Served, gateway, listening

ECHO = {"echo": {"kind": "echo"}}

#: A valid request of each operation, for the model that is asked for.
REQUESTS: Mapping[str, Any] = {
    "chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "completions": {"prompt": "hello"},
    "responses": {"input": "hello"},
    "embeddings": {"input": "hello"},
    "audio/speech": {"input": "hello", "voice": "alloy"},
    "images/generations": {"prompt": "hello"},
    "rerank": {"query": "hello", "documents": [{"text": "hello"}]},
    "ocr": {"document": {"type": "document_url", "document_url": "data:text/plain;base64,aGVsbG8="}},
    "moderations": {"input": "hello"},
}

#: The same of those that are forms; what is bytes goes as a file.
FORMS: Mapping[str, Any] = {
    "audio/transcriptions": {"file": b"hello"},
    "images/edits": {"image": b"hello", "prompt": "hello"},
    "images/variations": {"image": b"hello"},
}

_FORM = re.compile(rf"((/openai)?/v1/(async/)?|/v3/)({'|'.join(FORMS)})")


def request(operation: str, model: str = "echo/echo", **more: Any) -> dict[str, Any]:
    return {"model": model, **(REQUESTS.get(operation) or FORMS[operation]), **more}


def form(fields: Mapping[str, Any]) -> aiohttp.FormData:
    """The fields as a form: bytes as files, each of several values in a part of its own."""
    data = aiohttp.FormData(default_to_multipart=True)
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, bytes):
                data.add_field(name, value, filename=f"{name}.txt", content_type="text/plain")
            else:
                data.add_field(name, value if isinstance(value, str) else orjson.dumps(value).decode())
    return data


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)

    @property
    def message(self) -> str:
        """The message of a BifrostError, after checking its shape."""
        error = self.json
        assert set(error) <= {"type", "is_bifrost_error", "status_code", "error", "extra_fields"}
        assert error["is_bifrost_error"] is False
        assert error["status_code"] == self.status
        assert error["extra_fields"] == {}
        return str(error["error"]["message"])

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class Client:
    def __init__(self, session: aiohttp.ClientSession, served: Served, headers: Mapping[str, str]) -> None:
        self.served = served
        self._session = session
        self._headers = headers

    def with_key(self, token: str) -> "Client":
        return Client(self._session, self.served, {"x-bf-vk": token})

    async def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """`body`: bytes and forms go as they are, an object for a route that takes a form as one, all else as JSON."""
        data = body
        if isinstance(body, dict) and method == "POST" and _FORM.fullmatch(path):
            data = form(body)
        elif body is not None and not isinstance(body, bytes | aiohttp.FormData):
            data = orjson.dumps(body)
        async with self._session.request(
            method, self.served.url + path, data=data, headers={**self._headers, **(headers or {})}
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def submit(
        self, operation: str = "chat/completions", model: str = "echo/echo", /, *, headers: Any = None, **more: Any
    ) -> str:
        """The id of a job that was accepted."""
        answer = await self.ask("POST", f"/v1/async/{operation}", request(operation, model, **more), headers)
        assert answer.status == 202, answer.text
        return str(answer.json["id"])

    async def ended(self, id: str, operation: str = "chat/completions") -> Answer:
        """The poll that first showed the job's end."""
        # It is waited for in the server: to ask again and again would take the time that the job needs.
        wait = {"Prefer": "wait=10"}
        async with asyncio.timeout(30):
            while (answer := await self.ask("GET", f"/v1/async/{operation}/{id}", headers=wait)).status == 202:
                pass
        return answer


@asynccontextmanager
async def client(folder: Path, headers: Mapping[str, str] | None = None, **tables: Any) -> AsyncIterator[Client]:
    """A client of a gateway of its own; without a `providers` table it has the echo provider."""
    tables = {"providers": ECHO, **tables, "jobs": {"shutdown_grace_seconds": 0, **tables.get("jobs", {})}}
    async with gateway(folder, **tables) as served, aiohttp.ClientSession() as session:
        yield Client(session, served, headers or {})


@asynccontextmanager
async def embedded(
    folder: Path, prefix: str = "", *, providers: Mapping[str, Any] = ECHO, **options: Any
) -> AsyncIterator[Client]:
    """A client of a gateway that others serve: under a prefix of their application, with the `options` of a runner."""
    root = app = create_app({"providers": providers, "jobs": {"shutdown_grace_seconds": 0}}, data=folder)
    if prefix:
        root = web.Application()
        root.add_subapp(prefix, app)
    async with listening(root, **options) as url, aiohttp.ClientSession() as session:
        yield Client(session, Served(url + prefix, app[GATEWAY], app), {})

"""A web page must not drive a server on its reader's machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from coatcheck.handlers.browsers import host_rule
from coatcheck.schemas.config import ServerSettings

from .clients import client, request


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Host": "evil.example"}, "the Host 'evil.example' is not one of [server] allowed_hosts"),
        ({"Host": "127.0.0.1.evil.example:8080"}, "allowed_hosts"),
        ({"Host": ""}, "allowed_hosts"),
        ({"Host": "["}, "allowed_hosts"),
        ({"Host": "localhost@evil.example"}, "allowed_hosts"),
        ({"Origin": "http://evil.example"}, "requests from the origin 'http://evil.example' are refused"),
        ({"Origin": "null"}, "requests from the origin 'null' are refused"),
        ({"Origin": "http://localhost:1"}, "requests from the origin 'http://localhost:1' are refused"),
        ({"Sec-Fetch-Site": "cross-site"}, "requests from pages of other sites are refused"),
    ],
)
def test_a_request_of_a_foreign_page_is_refused(
    folder: Path, run: Any, headers: Mapping[str, str], reason: str
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for method, path in (("POST", "/v1/async/embeddings"), ("GET", "/v1/async/jobs"), ("POST", "/v1/keys")):
                answer = await c.ask(method, path, request("embeddings"), headers)
                assert answer.status == 403
                assert reason in answer.message
            assert await c.served.gateway.store.backlog() == []

    run(main())


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:9", "app.localhost"])
def test_the_loopbacks_own_names_are_allowed(folder: Path, run: Any, host: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            assert (await c.ask("GET", "/v1/async/jobs", None, {"Host": host})).status == 200
            own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
            assert (await c.ask("POST", "/v1/async/embeddings", request("embeddings"), own)).status == 202

    run(main())


def test_allowed_hosts_are_what_the_operator_says() -> None:
    named = host_rule(ServerSettings(allowed_hosts=("Jobs.example.com",)))
    assert named("jobs.example.com")
    assert not named("localhost")
    assert host_rule(ServerSettings(allowed_hosts=("*",)))("anything")
    assert host_rule(ServerSettings(host="0.0.0.0"))("anything")
    assert not host_rule(ServerSettings())("anything")


def test_probes_are_answered_under_any_name_and_nothing_else_is(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for path in ("/healthz", "/readyz", "/v1/async/jobs"):
                answer = await c.ask("GET", path, headers={"Host": "10.1.2.3:8080"})
                assert answer.status == (403 if path == "/v1/async/jobs" else 200), path

    run(main())

"""Requests that nobody thought of: made from the document, and answered as it says, whatever they are.

COATCHECK_FUZZ_EXAMPLES=1000 python -m pytest tests/test_schemathesis.py   # a longer run
"""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from coatcheck.schemas.operations import OPERATIONS

from .clients import ECHO, FORMS, request
from .servers import ServerProcess

#: Of each route, in each of two modes.
EXAMPLES = int(os.environ.get("COATCHECK_FUZZ_EXAMPLES", "10"))

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

ADMIN = "sk-bf-admin"
TABLES: dict[str, Any] = {
    "providers": ECHO,
    "auth": {"keys": [{"name": "root", "key": ADMIN, "admin": True}]},
    "server": {"max_wait_seconds": 1},
    # Nothing is sent there: it is no public address.
    "webhooks": {"endpoints": [{"name": "kept", "url": "http://127.0.0.1:9/"}]},
    "jobs": {"shutdown_grace_seconds": 0},
}
KEY = {"x-bf-vk": ADMIN}


@contextmanager
def as_far_as_it_goes() -> Iterator[None]:
    """Where nothing is asked, nothing can be wrong; and the library cannot always hold a form that it has spoiled
    against the form's schema, for the files in it."""
    try:
        yield
    except Unsatisfiable:
        pass
    except ValueError as error:
        if "Unsupported type: 'Binary'" not in str(error):
            raise


class Explorer:
    """Asks one server for what can be asked of it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._document = schemathesis.openapi.from_url(f"{url}/openapi.json")
        self.statuses: set[tuple[str, int]] = set()

    def explore(self) -> None:
        for found in self._document.get_all_operations():
            self._ask(found.ok(), GenerationMode.POSITIVE)
            with as_far_as_it_goes():
                self._ask(found.ok(), GenerationMode.NEGATIVE)

    def _ask(self, operation: Any, mode: GenerationMode) -> None:
        known = st.sampled_from(self._known(operation.label))

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), names=st.just({}) | known, runs=st.booleans())
        def check(case: Case, names: dict[str, str], runs: bool) -> None:
            # Left to chance, no job and no key would ever be found, and no model or receiver would exist.
            for name in names.keys() & (case.path_parameters or {}).keys():
                case.path_parameters[name] = names[name]
            if runs and "x-bf-async-webhook" in (case.headers or {}):
                case.headers["x-bf-async-webhook"] = "kept"
            if runs and isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = "text/embeddings/echo" if "/v3/universal-ai" in operation.label else "echo/echo"
                if isinstance(case.body.get("input"), dict):
                    case.body["input"].setdefault("texts", ["hello"])
            answer = case.call(base_url=self._url, session=self._session, headers=KEY, timeout=20)
            self.statuses.add((operation.label, answer.status_code))
            case.validate_response(answer, checks=CHECKS)

        check()

    def _known(self, label: str) -> list[dict[str, str]]:
        """What the places in the path of a route may hold: jobs that have ended, or will at once, and a key."""
        found = re.fullmatch(r"GET /v1/async/(.+?)/\{job_id\}(/content)?", label)
        if "/v3/universal-ai" in label:
            return [{"job_id": id} for id in self._universal("/content" in label)]
        operation = found[1] if found and found[1] in OPERATIONS else "embeddings"
        if label == "GET /v1/async/jobs/{job_id}/content":
            operation = "audio/speech"
        self._post("/v1/keys", {"name": "kept"})
        jobs = [self._submit(operation, model) for model in ("echo/echo", "echo/status-400")]
        self._post("/v1/async/embeddings", request("embeddings"), {"x-bf-async-webhook": "kept", "Prefer": "wait=1"})
        deliveries = f"{self._url}/v1/webhooks/deliveries?limit=1"
        (delivery,) = self._session.get(deliveries, headers=KEY, timeout=20).json()["data"]
        names = {"name": "kept", "asset": "page.css", "delivery_id": delivery["id"]}
        return [{"job_id": job["id"], **names} for job in jobs]

    def _universal(self, files: bool) -> list[str]:
        """Jobs of the v3 dialect that have ended; with files in their output or without."""
        asked = {"model": "text/embeddings/echo", "input": {"texts": ["hello"]}}
        if files:
            asked = {"model": "audio/tts/echo", "input": {"text": "hello"}}
        path, wait = f"{self._url}/v3/universal-ai/async", {**KEY, "Prefer": "wait=1"}
        return [self._session.post(path, json=asked, headers=wait, timeout=20).json()["public_id"] for _ in range(2)]

    def _submit(self, operation: str, model: str) -> Any:
        path, fields = f"/v1/async/{operation}", request(operation, model)
        if operation not in FORMS:
            return self._post(path, fields)
        files = {name: fields.pop(name) for name in OPERATIONS[operation].files if name in fields}
        return self._session.post(self._url + path, data=fields, files=files, headers=KEY, timeout=20).json()

    def _post(self, path: str, body: Any, headers: Mapping[str, str] = KEY) -> Any:
        return self._session.post(self._url + path, json=body, headers={**KEY, **headers}, timeout=20).json()


def test_whatever_is_asked_is_answered_as_the_document_says(folder: Path) -> None:
    async def main() -> None:
        async with ServerProcess(folder, TABLES) as server:
            assert server.url is not None
            explorer = await asyncio.to_thread(Explorer, server.url)
            await asyncio.to_thread(explorer.explore)
            # It came further than to refusals.
            assert ("POST /v1/async/chat/completions", 202) in explorer.statuses
            assert ("POST /anthropic/v1/messages", 200) in explorer.statuses
            assert ("POST /v1/async/images/variations", 202) in explorer.statuses
            assert ("POST /v3/universal-ai", 200) in explorer.statuses
            assert ("DELETE /v3/universal-ai/async/{job_id}", 200) in explorer.statuses
            assert ("GET /v3/universal-ai/async/{job_id}/content", 200) in explorer.statuses
            assert ("GET /v1/async/images/variations/{job_id}/content", 200) in explorer.statuses
            assert ("POST /v1/webhooks/deliveries/{delivery_id}/replay", 202) in explorer.statuses
            assert {status for _, status in explorer.statuses} >= {200, 201, 202, 204, 400, 404, 409}
            assert "Traceback" not in server.log.read_text()

    # A longer run takes longer than a test may; each of its requests is bounded.
    asyncio.run(main())

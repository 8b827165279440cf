"""The API's document, and whether an answer is one that it describes."""

import copy
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import orjson
from openapi_schema_validator import OAS31Validator

from coatcheck.handlers.dialects import of_path
from coatcheck.handlers.openapi import ERRORS
from coatcheck.schemas import answers, job_answers, v3_answers, vendor_answers, webhook_answers

from .clients import Answer, Client

#: What every answer may have, of HTTP's own and against sniffing.
USUAL = {
    "connection", "content-encoding", "content-length", "content-security-policy", "content-type", "date",
    "referrer-policy", "server", "transfer-encoding", "x-accel-buffering", "x-content-type-options",
}  # fmt: skip

#: Where the shapes of answers are whose keys are all listed.
OURS = (answers, job_answers, v3_answers, vendor_answers, webhook_answers)
#: A provider's own, and this document: their keys are not ours to list.
OPEN = {"Result", "Document", "VendorResult", "Message", "MessageAnswerBlock", "MessageUsage"}


class Document:
    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.paths: Mapping[str, Any] = content["paths"]

    @cached_property
    def _components(self) -> dict[str, Any]:
        """The components with answers that have no keys but the listed ones. To clients they are open: more may come.
        Here what is not listed is a mistake."""
        components = copy.deepcopy(dict(self.content["components"]))
        ours = {name for module in OURS for name in vars(module)} - OPEN
        for name in ours & set(components["schemas"]):
            components["schemas"][name]["additionalProperties"] = False
        return components

    def check(self, value: Any, schema: Mapping[str, Any]) -> None:
        """Raises `ValidationError` if the value is not of the schema."""
        OAS31Validator({**schema, "components": self._components}).validate(value)

    def route(self, path: str) -> str:
        """The path as the document has it."""
        found = [known for known in self.paths if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]*", re.escape(known)), path)]
        assert found, f"{path} is not in the document"
        return min(found, key=lambda known: known.count("{"))

    def _not_allowed(self, route: str) -> dict[str, Any]:
        """The answer to a method that the route does not take, in the dialect of the route."""
        said = self.content["components"]["responses"]["MethodNotAllowed"]
        dialect = of_path(route)
        headers = {**said["headers"], **dict.fromkeys(dialect.headers)}
        schema = {"$ref": f"#/components/schemas/{ERRORS[dialect].__name__}"}
        return {"headers": headers, "content": {"application/json": {"schema": schema}}}

    def conforms(self, method: str, path: str, answer: Answer) -> None:
        """Asserts that the document has this answer: its status, headers, type and shape."""
        where = f"{method} {path}: {answer.status} {answer.text[:500]!r}"
        route = self.route(path.partition("?")[0])
        operation = self.paths[route].get(method.lower())
        assert operation or answer.status in (403, 405), where
        if operation is None:
            response = self._not_allowed(route)
        else:
            # A status, or what is said of all such statuses.
            responses = operation["responses"]
            response = responses.get(str(answer.status)) or responses.get(f"{answer.status // 100}XX")
        assert response is not None, where
        given, known = {name.lower() for name in answer.headers}, response.get("headers", {})
        assert given <= USUAL | {name.lower() for name in known}, f"{where}: {given}"
        for name in known:
            header = self.content["components"]["headers"][name]
            assert name.lower() in given or not header.get("required"), f"{where}: no {name}"
        content = response.get("content")
        if content is None:
            assert answer.text == b"", where
            return
        media = answer.headers["Content-Type"].partition(";")[0]
        known = next((range for range in (media, f"{media.partition('/')[0]}/*") if range in content), None)
        assert known is not None, f"{where}: {media}"
        schema = content[known]["schema"]
        if schema.get("format") == "binary":
            return
        if media == "text/event-stream":
            for event in events(answer.text.decode()):
                self.check(event, schema)
        else:
            self.check(answer.json if media == "application/json" else answer.text.decode(), schema)


def events(stream: str) -> list[dict[str, str]]:
    """The events of a stream, each by its fields."""
    blocks = [
        [line for line in block.split("\n") if line and not line.startswith(":")] for block in stream.split("\n\n")
    ]
    return [dict(line.split(": ", 1) for line in block) for block in blocks if block]


async def document(client: Client, prefix: str = "") -> Document:
    answer = await client.ask("GET", f"{prefix}/openapi.json")
    assert answer.status == 200, answer.text
    return Document(orjson.loads(answer.text))

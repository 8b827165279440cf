"""The OpenAPI document: the router's routes, as their handlers declare them.

Imported when the document is asked for, since what makes it takes long to import.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, cast

import orjson
from aiohttp import web
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from ..engine.errors import (
    ExpiredKey,
    Forbidden,
    InvalidToken,
    JobNotFound,
    MethodNotAllowed,
    NotFound,
    Refusal,
    Unauthorized,
    UnknownKey,
)
from ..schemas import answers, v3_answers, vendor_answers
from ..schemas.fields import ListOf
from ..schemas.json_schema import published
from . import (
    descriptions,
    info_descriptions,
    sdk_descriptions,
    universal_descriptions,
    upload_descriptions,
    webhook_descriptions,
)
from .api import Declaration, Policy
from .dialects import ANTHROPIC, BIFROST, EDEN, OPENAI, Dialect, of_path
from .errors import Broken
from .introduction import HEADERS, INTRODUCTION, SECURITY, TAGS
from .version import version
from .vocabulary import Description, Extras, Part

Json = dict[str, Any]

#: Where the descriptions are that handlers name.
_WORDS = (
    descriptions,
    sdk_descriptions,
    webhook_descriptions,
    info_descriptions,
    universal_descriptions,
    upload_descriptions,
)

#: The shape of refusals.
ERRORS: Mapping[Dialect, type[answers.Answer]] = {
    BIFROST: answers.Refusal,
    EDEN: v3_answers.UniversalError,
    OPENAI: vendor_answers.OpenAIError,
    ANTHROPIC: vendor_answers.AnthropicError,
}

#: Whatever the route, these may be the answer.
_EVERYWHERE = (Forbidden("requests from pages of other sites are refused"), Broken())

#: What a route refuses because of who asks.
_POLICIES: Mapping[Policy, tuple[type[Refusal], ...]] = {
    Policy.PUBLIC: (),
    Policy.KEY: (Unauthorized, UnknownKey, ExpiredKey, InvalidToken),
    Policy.OWNER: (Unauthorized, JobNotFound, InvalidToken),
    Policy.ADMIN: (Unauthorized, UnknownKey, ExpiredKey, InvalidToken),
}

#: The headers of refusals, by status.
_REFUSED = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    416: ("Content-Range",),
    405: ("Allow",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}

#: The headers of an answer that has the status of a job's outcome.
_OUTCOME = ("x-bf-job-id", "x-should-retry", "Idempotency-Replayed", "RateLimit", "RateLimit-Policy")

_FORM = "multipart/form-data"
#: The type whose schema, where there is one, is that of each event.
_STREAM = "text/event-stream"

_FAILED = {"4XX": "The job failed with this status.", "5XX": "The job failed with this status, or of itself."}

_REQUEST_ID = "d1b6f7a0-93c5-4b52-8a9e-0a4f6c1e2b77"

#: The modules of requests, whose inner shapes have the same names.
_FAMILIES = {
    "chat": "Chat",
    "completions": "TextCompletion",
    "responses": "Response",
    "embeddings": "Embedding",
    "speech": "Speech",
    "rerank": "Rerank",
    "ocr": "Ocr",
    "moderations": "Moderation",
    "messages": "Messages",
}


def build(router: web.UrlDispatcher, prefix: str = "") -> bytes:
    """The document as JSON; `prefix` is where the application is mounted."""
    return orjson.dumps(_Document(prefix).of(router))


class _Document:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        plugin = MarshmallowPlugin(schema_name_resolver=_name)
        self._spec = APISpec(
            title="Coatcheck",
            version=version(),
            openapi_version="3.1.0",
            plugins=[plugin],
            info={"description": INTRODUCTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
            servers=[{"url": prefix or "/"}],
            tags=[{"name": name, "description": about} for name, about in TAGS.items()],
            security=[{name: []} for name in SECURITY],
        )
        self._converter = cast("Any", plugin.converter)
        self._converter.add_attribute_function(published)
        self._codes: set[str] = set()

    def of(self, router: web.UrlDispatcher) -> Json:
        components = self._spec.components
        for name, scheme in SECURITY.items():
            components.security_scheme(name, dict(scheme))
        for name, header in HEADERS.items():
            components.header(name, dict(header))
        for refusal in (NotFound, MethodNotAllowed):
            components.response(refusal.__name__, self._refused(BIFROST, refusal()))
        for resource in router.resources():
            found = {route.method.lower(): route for route in resource if route.method != "HEAD"}
            if found and not resource.canonical.endswith("/"):
                path = resource.canonical.removeprefix(self._prefix)
                said_in = of_path(path)
                operations = {method: self._operation(route.handler, said_in) for method, route in found.items()}
                self._spec.path(path=path, operations=operations)
        sent = {name: {"post": self._sent(name, webhook)} for name, webhook in webhook_descriptions.SENT.items()}
        document = {**self._spec.to_dict(), "webhooks": sent}
        self._finish(document["components"]["schemas"])
        return document

    def _sent(self, name: str, webhook: webhook_descriptions.Sent) -> Json:
        text = {"type": "string"}
        return {
            "operationId": name,
            "tags": ["webhooks"],
            "summary": webhook.summary,
            "security": [],
            "parameters": [
                {"in": "header", "name": header, "required": True, "description": about, "schema": text}
                for header, about in webhook.headers.items()
            ],
            "requestBody": {"required": True, "content": self._content(webhook.schema, webhook.schema.examples)},
            "responses": {"2XX": {"description": "It is delivered; what is answered otherwise may be tried again."}},
        }

    def _operation(self, handler: Any, dialect: Dialect) -> Json:
        declaration = Declaration.of(handler)
        description = _description(declaration)
        said = description.said
        operation: Json = {key: said[key] for key in ("operationId", "summary", "description", "tags") if said.get(key)}
        for given in said.get("schemas", ()):
            schema, location = given["schema"], given["location"]
            if location == "json":
                content = self._content(schema, description.examples or schema.examples, description.takes)
                if description.takes == _FORM:
                    content[_FORM]["encoding"] = _encoding(schema)
                operation["requestBody"] = {"required": given["options"]["required"], "content": content}
            else:
                found = self._converter.schema2parameters(schema, location=location)
                operation.setdefault("parameters", []).extend(found)
        responses = said.get("responses", {})
        operation["responses"] = {
            code: self._response(response, description.extras[int(code)]) for code, response in responses.items()
        } | self._refusals(declaration.policy, description, responses, dialect)
        if description.outcomes:
            failed = self._refused(dialect, Broken(), more=_OUTCOME)
            operation["responses"] |= {status: {**failed, "description": about} for status, about in _FAILED.items()}
        if declaration.policy is Policy.PUBLIC:
            operation["security"] = []
        return operation

    def _response(self, response: Json, extras: Extras) -> Json:
        found: Json = {"description": response["description"], "headers": _headers(extras.headers)}
        schema = response.get("schema")
        content: Json = {}
        if schema is not None and _STREAM not in extras.text:
            titles = extras.titles or schema.examples
            content |= self._content(schema, {title: schema.examples[title] for title in titles})
        for media in extras.files:
            shape = {"type": "string", "format": "binary"}
            content[media] = {"schema": shape, "examples": {"Bytes": {"value": "…"}}}
        for media, example in extras.text.items():
            shape = self._converter.resolve_nested_schema(schema) if media == _STREAM else {"type": "string"}
            content[media] = {"schema": shape, "examples": {"Text": {"value": example}}}
        if content:
            found["content"] = content
        return found

    def _content(self, schema: Any, examples: Mapping[str, Any], media: str = "application/json") -> Json:
        return {
            media: {
                "schema": self._converter.resolve_nested_schema(schema),
                "examples": {title: {"value": value} for title, value in examples.items()},
            }
        }

    def _refusals(
        self, policy: Policy | None, description: Description, answered: Mapping[str, Any], dialect: Dialect
    ) -> Json:
        asked = _POLICIES[policy] if policy else ()
        by_status: dict[str, dict[str, Refusal]] = {}
        for refusal in (*(kind() for kind in (*asked, *description.refusals)), *_EVERYWHERE):
            by_status.setdefault(str(dialect.status(refusal)), {}).setdefault(refusal.code, refusal)
        more = _OUTCOME if description.outcomes else ()
        return {
            status: self._refused(dialect, *known.values(), more=more)
            for status, known in by_status.items()
            if status not in answered
        }

    def _refused(self, dialect: Dialect, *refusals: Refusal, more: Iterable[str] = ()) -> Json:
        """The answer for refusals of one status; `more`: other headers that it may have."""
        if dialect in (BIFROST, EDEN):
            self._codes.update(refusal.code for refusal in refusals)
        names = (*_REFUSED.get(dialect.status(refusals[0]), ()), *more, *dialect.headers)
        examples = {r.code: orjson.loads(dialect.body(r, _REQUEST_ID)) for r in refusals}
        return {
            "description": ", ".join(f"`{refusal.code}`" for refusal in refusals),
            "headers": _headers(names),
            "content": self._content(ERRORS[dialect], examples),
        }

    def _finish(self, schemas: Json) -> None:
        """What apispec has no place for."""
        for key, name in self._converter.refs.items():
            about = key[0].__dict__.get("__doc__")
            if about:
                schemas[name]["description"] = inspect.cleandoc(about)
        schemas["RefusalDetails"]["properties"]["code"]["enum"] = sorted(self._codes)


def _description(declaration: Declaration) -> Description:
    """What the handler's declaration names; where it names nothing, nothing."""
    description, name = Description(), declaration.description
    if name:
        found = next(getattr(words, name) for words in _WORDS if hasattr(words, name))
        part: Part = found(*declaration.subject) if declaration.subject else found
        part(description)
    return description


def _encoding(schema: Any) -> Json:
    """Of a form's lists: each item is a field, or else a client might send them as one, parted by commas."""
    lists = (name for name, field in schema.fields.items() if isinstance(field, ListOf) and name not in schema.files)
    return {name: {"style": "form", "explode": True} for name in lists}


def _headers(names: Iterable[str]) -> Json:
    """The headers of an answer; each has the request's id."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "x-request-id")}


def _name(schema: Any) -> str:
    cls = schema if isinstance(schema, type) else type(schema)
    family = _FAMILIES.get(cls.__module__.rpartition(".")[2], "")
    named = cls.__name__.startswith(family) or cls.__name__.endswith("Request")
    return cls.__name__ if named else family + cls.__name__

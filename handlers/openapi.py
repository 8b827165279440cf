"""The OpenAPI document: the router's routes, as their handlers declare them.

Imported when the document is asked for, since what makes it takes long to import.
"""

import inspect
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
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
from ..schemas import answers, v1
from ..schemas.json_schema import published
from .api import Declaration, Extras, Policy
from .errors import Broken
from .introduction import HEADERS, INTRODUCTION, SECURITY, TAGS

Json = dict[str, Any]

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
    405: ("Allow",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}

#: The modules of requests, whose inner shapes have the same names.
_FAMILIES = {"chat": "Chat", "completions": "TextCompletion", "responses": "Response", "embeddings": "Embedding"}


def build(router: web.UrlDispatcher, prefix: str = "") -> bytes:
    """The document as JSON; `prefix` is where the application is mounted."""
    return orjson.dumps(_Document(prefix).of(router))


class _Document:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        plugin = MarshmallowPlugin(schema_name_resolver=_name)
        self._spec = APISpec(
            title="Coatcheck",
            version=_version(),
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
            components.response(refusal.__name__, self._refused(refusal()))
        for resource in router.resources():
            found = {route.method.lower(): route for route in resource if route.method != "HEAD"}
            if found:
                path = resource.canonical.removeprefix(self._prefix)
                operations = {method: self._operation(route.handler) for method, route in found.items()}
                self._spec.path(path=path, operations=operations)
        document = self._spec.to_dict()
        self._finish(document["components"]["schemas"])
        return document

    def _operation(self, handler: Any) -> Json:
        declaration = Declaration.of(handler)
        said = declaration.apply()
        operation: Json = {key: said[key] for key in ("operationId", "summary", "description", "tags") if said.get(key)}
        for given in said.get("schemas", ()):
            schema, location = given["schema"], given["location"]
            if location == "json":
                content = self._json(schema, declaration.examples or schema.examples)
                operation["requestBody"] = {"required": given["options"]["required"], "content": content}
            else:
                found = self._converter.schema2parameters(schema, location=location)
                operation.setdefault("parameters", []).extend(found)
        responses = said.get("responses", {})
        operation["responses"] = {
            code: self._response(response, declaration.extras[int(code)]) for code, response in responses.items()
        } | self._refusals(declaration, responses)
        if declaration.policy is Policy.PUBLIC:
            operation["security"] = []
        return operation

    def _response(self, response: Json, extras: Extras) -> Json:
        found: Json = {"description": response["description"], "headers": _headers(extras.headers)}
        schema = response.get("schema")
        if extras.text:
            shape = self._converter.resolve_nested_schema(schema) if schema else {"type": "string"}
            found["content"] = {
                media: {"schema": shape, "examples": {"Text": {"value": example}}}
                for media, example in extras.text.items()
            }
        elif schema is not None:
            titles = extras.titles or schema.examples
            found["content"] = self._json(schema, {title: schema.examples[title] for title in titles})
        return found

    def _json(self, schema: Any, examples: Mapping[str, Any]) -> Json:
        return {
            "application/json": {
                "schema": self._converter.resolve_nested_schema(schema),
                "examples": {title: {"value": value} for title, value in examples.items()},
            }
        }

    def _refusals(self, declaration: Declaration, answered: Mapping[str, Any]) -> Json:
        asked = _POLICIES[declaration.policy] if declaration.policy else ()
        by_status: dict[str, dict[str, Refusal]] = {}
        for refusal in (*(kind() for kind in (*asked, *declaration.refusals)), *_EVERYWHERE):
            by_status.setdefault(str(refusal.status), {}).setdefault(refusal.code, refusal)
        return {status: self._refused(*known.values()) for status, known in by_status.items() if status not in answered}

    def _refused(self, *refusals: Refusal) -> Json:
        """The answer for refusals of one status."""
        self._codes.update(refusal.code for refusal in refusals)
        return {
            "description": ", ".join(f"`{refusal.code}`" for refusal in refusals),
            "headers": _headers(_REFUSED.get(refusals[0].status, ())),
            "content": self._json(answers.Refusal, {r.code: orjson.loads(v1.error(r)) for r in refusals}),
        }

    def _finish(self, schemas: Json) -> None:
        """What apispec has no place for."""
        for key, name in self._converter.refs.items():
            about = key[0].__dict__.get("__doc__")
            if about:
                schemas[name]["description"] = inspect.cleandoc(about)
        schemas["RefusalDetails"]["properties"]["code"]["enum"] = sorted(self._codes)


def _headers(names: Iterable[str]) -> Json:
    """The headers of an answer; each has the request's id."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "x-request-id")}


def _name(schema: Any) -> str:
    cls = schema if isinstance(schema, type) else type(schema)
    family = _FAMILIES.get(cls.__module__.rpartition(".")[2], "")
    named = cls.__name__.startswith(family) or cls.__name__.endswith("Request")
    return cls.__name__ if named else family + cls.__name__


def _version() -> str:
    try:
        return version("coatcheck")
    except PackageNotFoundError:
        return "0"

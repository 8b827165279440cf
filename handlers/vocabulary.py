"""What descriptions are made of: aiohttp-apispec's decorators, and words for what the library has none for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp_apispec

from ..engine.errors import Refusal


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What `response_schema` has no words for."""

    #: By name.
    headers: Sequence[str] = ()
    #: The titles of those of the schema's examples that fit; None: all.
    titles: Sequence[str] | None = None
    #: Where the answer is text: an example by media type.
    text: Mapping[str, str] = field(default_factory=dict)
    #: Where it is a file: its media types.
    files: Sequence[str] = ()


class Description:
    """One route, as the parts that were applied to it say."""

    def __init__(self) -> None:
        #: Of the body, by title; None: those of its schema.
        self.examples: Mapping[str, Any] | None = None
        #: The body's media type.
        self.takes = "application/json"
        #: Whether the answer has the status of a job's outcome, which may be any error.
        self.outcomes = False
        #: What the handler refuses, besides what its policy does.
        self.refusals: list[type[Refusal]] = []
        self.extras: dict[int, Extras] = {}

        def stand_in() -> None: ...

        #: What the library's decorators decorate: they add to what is there, and handlers outlive an application.
        self.stand_in: Any = stand_in

    @property
    def said(self) -> Mapping[str, Any]:
        """What the library's decorators left."""
        found: Mapping[str, Any] = getattr(self.stand_in, "__apispec__", {})
        return found


#: A part of a description.
Part = Callable[[Description], None]


def _part(decorator: Callable[..., Any]) -> Callable[..., Part]:
    """The library's decorator as a part."""
    return lambda *args, **kwargs: lambda description: decorator(*args, **kwargs)(description.stand_in)


docs = _part(aiohttp_apispec.docs)
headers_schema = _part(aiohttp_apispec.headers_schema)
querystring_schema = _part(aiohttp_apispec.querystring_schema)
match_info_schema = _part(aiohttp_apispec.match_info_schema)
_body = _part(aiohttp_apispec.json_schema)
_response = _part(aiohttp_apispec.response_schema)


def described(*parts: Part) -> Part:
    """Several parts as one."""

    def describe(description: Description) -> None:
        for part in parts:
            part(description)

    return describe


def json_schema(schema: Any, *, required: bool = True, examples: Mapping[str, Any] | None = None) -> Part:
    """The body; its examples are those of the schema, unless there are others."""

    def describe(description: Description) -> None:
        description.examples = examples
        _body(schema, required=required)(description)

    return describe


def form_schema(schema: Any) -> Part:
    """The body, where it is a form; its examples are those of the schema."""

    def describe(description: Description) -> None:
        description.takes = "multipart/form-data"
        _body(schema, required=True)(description)

    return describe


def response_schema(
    schema: Any,
    code: int,
    about: str,
    *,
    headers: Sequence[str] = (),
    titles: Sequence[str] | None = None,
    text: Mapping[str, str] | None = None,
    files: Sequence[str] = (),
) -> Part:
    """An answer. `schema` is None for text or files, or where there is no body; for a stream it is that of each
    event."""

    def describe(description: Description) -> None:
        description.extras[code] = Extras(headers=headers, titles=titles, text=text or {}, files=files)
        if schema is None:
            docs(responses={str(code): {"description": about}})(description)
        else:
            _response(schema, code, description=about)(description)

    return describe


def outcomes(description: Description) -> None:
    """The answer has the status of a job's outcome."""
    description.outcomes = True


def refusals(*kinds: type[Refusal]) -> Part:
    """What the handler refuses, besides what its policy does."""
    return lambda description: description.refusals.extend(kinds)

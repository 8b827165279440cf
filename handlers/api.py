"""What a route says of itself: who may use it, and the rest through aiohttp-apispec's decorators.

The library takes a tenth of a start to import. So the decorators here keep what they are given, and `Declaration.apply`
has the library's own do the work when the document is asked for.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from aiohttp import web

from ..engine.errors import Refusal

H = TypeVar("H", bound=Callable[..., Any])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ATTRIBUTE = "__declaration__"


class Policy(StrEnum):
    """Who may use a route."""

    #: Anyone, at any time.
    PUBLIC = "public"
    #: Whoever has a key, where keys are needed.
    KEY = "key"
    #: Whoever owns the job that the path names, and admins; for everyone else there is no such job.
    OWNER = "owner"
    #: Whoever has an admin's key.
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What `response_schema` has no words for."""

    #: By name.
    headers: Sequence[str] = ()
    #: The titles of those of the schema's examples that fit; None: all.
    titles: Sequence[str] | None = None
    #: Where the answer is text: an example by media type.
    text: Mapping[str, str] = field(default_factory=dict)


class Decorator(Protocol):
    def __call__(self, handler: H, /) -> H: ...


@dataclass(kw_only=True)
class Declaration:
    """What the decorators said of one handler."""

    policy: Policy | None = None
    #: Of the body, by title; None: those of its schema.
    examples: Mapping[str, Any] | None = None
    #: What the handler refuses, besides what its policy does.
    refusals: list[type[Refusal]] = field(default_factory=list)
    extras: dict[int, Extras] = field(default_factory=dict)
    _kept: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    @classmethod
    def of(cls, handler: Any) -> "Declaration":
        """The handler's; an empty one if nothing was said of it."""
        found = getattr(handler, _ATTRIBUTE, None)
        return found if isinstance(found, cls) else cls()

    def keep(self, decorator: str, *args: Any, **kwargs: Any) -> None:
        self._kept.append((decorator, args, kwargs))

    def apply(self) -> Mapping[str, Any]:
        """What aiohttp-apispec's decorators leave on a function. A stand-in takes them: they add to what is there, and
        each application in a process has a document of its own."""
        import aiohttp_apispec

        def handler() -> None: ...

        for decorator, args, kwargs in self._kept:
            getattr(aiohttp_apispec, decorator)(*args, **kwargs)(handler)
        return getattr(handler, "__apispec__", {})


def _noting(note: Callable[[Declaration], None]) -> Decorator:
    def decorate(handler: H) -> H:
        declaration = Declaration.of(handler)
        note(declaration)
        setattr(handler, _ATTRIBUTE, declaration)
        return handler

    return decorate


def _deferred(decorator: str) -> Callable[..., Decorator]:
    return lambda *args, **kwargs: _noting(lambda declaration: declaration.keep(decorator, *args, **kwargs))


docs = _deferred("docs")
headers_schema = _deferred("headers_schema")
querystring_schema = _deferred("querystring_schema")
match_info_schema = _deferred("match_info_schema")


def json_schema(schema: Any, *, required: bool = True, examples: Mapping[str, Any] | None = None) -> Decorator:
    """The body; its examples are those of the schema, unless there are others."""

    def note(declaration: Declaration) -> None:
        declaration.examples = examples
        declaration.keep("json_schema", schema, required=required)

    return _noting(note)


def response_schema(
    schema: Any,
    code: int,
    description: str,
    *,
    headers: Sequence[str] = (),
    titles: Sequence[str] | None = None,
    text: Mapping[str, str] | None = None,
) -> Decorator:
    """An answer. `schema` is None for text, or where there is no body; for a stream it is that of each event."""

    def note(declaration: Declaration) -> None:
        declaration.extras[code] = Extras(headers=headers, titles=titles, text=text or {})
        if schema is None:
            declaration.keep("docs", responses={str(code): {"description": description}})
        else:
            declaration.keep("response_schema", schema, code, description=description)

    return _noting(note)


def policy(who: Policy) -> Decorator:
    """Who may use the route; every route says so."""

    def note(declaration: Declaration) -> None:
        declaration.policy = who

    return _noting(note)


def refusals(*kinds: type[Refusal]) -> Decorator:
    """What the handler refuses, besides what its policy does."""
    return _noting(lambda declaration: declaration.refusals.extend(kinds))


def described(*decorators: Decorator) -> Decorator:
    """Several decorators as one."""

    def decorate(handler: H) -> H:
        for decorator in decorators:
            handler = decorator(handler)
        return handler

    return decorate

"""What a handler says of its route: who may use it, and under which name `descriptions` has it in words.

The words are looked up when the document is asked for: they and what makes the document of them take long to import.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from aiohttp import web

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
class Declaration:
    """What was said of one handler; of one of which nothing was said it is empty."""

    policy: Policy | None = None
    description: str = ""
    #: What the description is made for, where several routes share it: an operation, a path.
    subject: tuple[Any, ...] = ()

    @classmethod
    def of(cls, handler: Any) -> "Declaration":
        found = getattr(handler, _ATTRIBUTE, None)
        return found if isinstance(found, cls) else cls()


def slashed(*routes: web.RouteDef) -> list[web.RouteDef]:
    """The routes, and after them each once more with a slash at its end. Those that are so doubled are not in the
    document."""
    return [*routes, *(web.RouteDef(r.method, f"{r.path}/", r.handler, r.kwargs) for r in routes)]


def declared(policy: Policy, description: str, *subject: Any) -> Callable[[H], H]:
    """Declares the handler that it decorates; every handler of a route is."""

    def decorate(handler: H) -> H:
        setattr(handler, _ATTRIBUTE, Declaration(policy=policy, description=description, subject=subject))
        return handler

    return decorate

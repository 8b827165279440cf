"""In whose words a request is answered: Bifrost's, Eden AI's under `/v3`, or a vendor's on the routes that the vendor's
own clients call."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from ..engine.errors import Refusal
from ..schemas import v1, v3, vendor_errors

#: Paths, without where the application is mounted, that the vendors' clients ask for, be there anything or not.
_ANTHROPIC = re.compile(r"/(anthropic|v3/v1)(/|$)")
_OPENAI = re.compile(
    r"/(openai|v1/("
    r"chat|completions|responses|embeddings|audio|images|rerank|ocr|models|"
    r"assistants|batches|containers|conversations|evals|files|fine_tuning|moderations|threads|uploads|vector_stores|videos"
    r")|v3/(llm|chat|completions|responses|embeddings|audio|images|rerank|ocr|models|moderations|videos))"
    r"(/|$)"
)

_EDEN = re.compile(r"/v3(/|$)")

#: What the vendors have and we have not.
_NOT_HERE = {"/messages/count_tokens": "tokens are not counted here: only a provider knows how it cuts a text"}

#: A path that every application has.
_ALWAYS = "/healthz"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    #: The status of a refusal.
    status: Callable[[Refusal], int]
    #: Its body, given the request's id.
    body: Callable[[Refusal, str], bytes]
    #: The headers in which the vendor's clients look for the request's id, beside our own.
    headers: tuple[str, ...] = ()

    def refuse(self, refusal: Refusal, request_id: str) -> web.Response:
        headers: dict[str, str] = {}
        status = self.status(refusal)
        if refusal.retry_after is not None:
            headers["Retry-After"] = str(max(1, round(refusal.retry_after)))
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="coatcheck"'
        headers |= dict.fromkeys(self.headers, request_id)
        headers.update(refusal.headers)
        body = self.body(refusal, request_id)
        return web.Response(body=body, status=status, headers=headers, content_type="application/json")


BIFROST = Dialect(status=lambda refusal: refusal.status, body=lambda refusal, _: v1.error(refusal))
OPENAI = Dialect(status=vendor_errors.status, body=vendor_errors.openai_refusal)
ANTHROPIC = Dialect(
    status=vendor_errors.status,
    body=vendor_errors.anthropic_refusal,
    headers=("request-id",),
)
EDEN = Dialect(status=v3.status, body=v3.refusal)


def of_path(path: str) -> Dialect:
    """The dialect of a path, as the application has it without the place where it is mounted."""
    if _ANTHROPIC.match(path):
        return ANTHROPIC
    if _OPENAI.match(path):
        return OPENAI
    return EDEN if _EDEN.match(path) else BIFROST


def dialect(request: web.Request) -> Dialect:
    """The dialect of the request's route; where there is none, of what its path looks like."""
    resource = request.match_info.route.resource
    prefix = mounted_at(request)
    return of_path((resource.canonical if resource is not None else request.path).removeprefix(prefix))


def mounted_at(request: web.Request) -> str:
    """Where the application is mounted, which its resources know."""
    found = (known.canonical for known in request.app.router.resources() if known.canonical.endswith(_ALWAYS))
    return next(found, _ALWAYS).removesuffix(_ALWAYS)


def absent(path: str) -> str:
    """What to say of a path at which there is nothing."""
    return next((why for end, why in _NOT_HERE.items() if path.endswith(end)), f"there is nothing at {path}")

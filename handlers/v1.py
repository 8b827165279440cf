"""`/v1/async/*`: submit and poll for every operation of the table."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from ..engine.calls import Provider
from ..engine.errors import Refusal
from ..engine.targets import resolve
from ..schemas import v1
from ..schemas.operations import OPERATIONS, Operation
from . import bodies, descriptions
from .auth import caller
from .gateway import GATEWAY
from .prefer import PREFER
from .submission import IDEMPOTENCY_KEY, Wanted, take
from .tickets import find, show, shown

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PREFIX = "/v1/async"


def routes() -> list[web.RouteDef]:
    """Two routes an operation; after those of the jobs, so that no operation can be called "jobs"."""
    found = []
    for operation in OPERATIONS.values():
        # The router looks at them in this order, and polls are more than submits.
        found.append(web.get(f"{PREFIX}/{operation.name}/{{job_id:[^/]*}}", poll(operation)))
        found.append(web.post(f"{PREFIX}/{operation.name}", submit(operation)))
    return found


def submit(operation: Operation) -> Handler:
    """The handler that takes jobs of this operation."""

    @descriptions.submit(operation)
    async def handle(request: web.Request) -> web.Response:
        gateway = request.app[GATEWAY]
        who = caller(gateway, request)
        body = await bodies.read(request, gateway.config.server.max_json_bytes)
        keyed = IDEMPOTENCY_KEY in request.headers
        if len(body) > bodies.OFF_LOOP_BYTES:
            wanted = await asyncio.to_thread(_wanted, operation, body, gateway.providers, keyed)
        else:
            wanted = _wanted(operation, body, gateway.providers, keyed)
        return await take(request, gateway, who, wanted, request.rel_url.raw_path)

    return handle


def poll(operation: Operation) -> Handler:
    """The handler that shows jobs of this operation, and no others."""

    @descriptions.poll(operation)
    async def handle(request: web.Request) -> web.Response:
        gateway, ticket = await find(request, operation.name)
        if PREFER in request.headers:
            return await shown(request, gateway, ticket)
        return show(request, gateway, ticket)

    return handle


def _wanted(operation: Operation, body: bytes, providers: Mapping[str, Provider], keyed: bool) -> Wanted:
    """What the body asks for; `keyed`: its identity will be needed."""
    loaded = operation.load(bodies.parse(body))
    names = (loaded.model, *loaded.fallbacks)
    params = ("model", *(f"fallbacks[{i}]" for i in range(len(loaded.fallbacks))))
    return Wanted(
        operation=operation.name,
        model=loaded.model,
        targets=tuple(
            resolve(name, operation.name, providers, param=param) for name, param in zip(names, params, strict=True)
        ),
        request=bodies.render(loaded.body),
        identity=bodies.identity(operation.name, names, loaded.body) if keyed else b"",
    )


def refuse(refusal: Refusal) -> web.Response:
    """The refusal as this dialect says it."""
    headers: dict[str, str] = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(refusal.retry_after)))
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="coatcheck"'
    headers.update(refusal.headers)
    return web.Response(body=v1.error(refusal), status=refusal.status, headers=headers, content_type="application/json")

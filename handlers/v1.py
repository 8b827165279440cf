"""`/v1/async/*`: submit and poll for every operation of the table."""

from aiohttp import web

from ..schemas.operations import OPERATIONS, Operation
from .api import Handler, Policy, declared
from .auth import caller
from .gateway import GATEWAY
from .prefer import PREFER
from .submission import take
from .tickets import find, show, shown
from .wanted import wanted

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

    @declared(Policy.KEY, "submit", operation)
    async def handle(request: web.Request) -> web.Response:
        gateway = request.app[GATEWAY]
        who = caller(gateway, request)
        work = await wanted(request, gateway, who, operation)
        return await take(request, gateway, who, work, request.rel_url.raw_path)

    return handle


def poll(operation: Operation) -> Handler:
    """The handler that shows jobs of this operation, and no others."""

    @declared(Policy.OWNER, "poll", operation)
    async def handle(request: web.Request) -> web.Response:
        gateway, ticket = await find(request, operation.name)
        if PREFER in request.headers or operation.answers_files:
            return await shown(request, gateway, ticket)
        return show(request, gateway, ticket)

    return handle

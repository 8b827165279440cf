"""`…/{job_id}/content` under `/v3`: a file of a result, for whoever has its address or the job."""

from aiohttp import web

from ..engine.errors import Forbidden
from ..schemas import queries
from .api import Policy, declared
from .auth import caller
from .content import file_of, send
from .gateway import GATEWAY
from .universal import JOB, look, named

_SIGNATURE = "signature"


def routes() -> list[web.RouteDef]:
    return [web.get(f"{JOB}/content", content)]


def is_link(request: web.Request) -> bool:
    """Whether the request has a signature, beside which nothing counts."""
    return request.match_info.handler is content and _SIGNATURE in request.query


@declared(Policy.OWNER, "universal_content")
async def content(request: web.Request) -> web.Response:
    """The file of that place, or the part of it that is asked for. A signature stands for a key."""
    gateway = request.app[GATEWAY]
    id, index = named(request), queries.index(request.query)
    if is_link(request):
        if not gateway.links.allows(id, index, request.query[_SIGNATURE]):
            raise Forbidden("the signature is not that of this file")
        owner = None
    else:
        owner = caller(gateway, request).scope
    ticket = await look(gateway, id, owner)
    file = await file_of(gateway, ticket, index)
    return send(request, file, f"{ticket.job.operation.replace('/', '-')}-{index}")

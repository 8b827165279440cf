"""`/v1/models`, and the same where OpenAI's and Anthropic's own clients look for it, and those of the universal API."""

from collections.abc import Mapping

import orjson
from aiohttp import web

from ..engine.errors import UnknownModel
from ..schemas import info, models
from .api import Handler, Policy, declared
from .auth import caller
from .catalogue import Entry
from .gateway import GATEWAY, Gateway

#: Names of models have slashes.
_NAME = "{model:.+}"
_LONGEST_NAME = 200

#: What messages are made of.
_CHAT = "chat/completions"

#: Where models are listed with their prices: for everyone, as Eden AI has it. Each list has those that can be asked for
#: one of these operations; where none is named, all.
_PRICED: Mapping[str, frozenset[str]] = {
    "/v3/models": frozenset(),
    "/v3/llm/models": frozenset({_CHAT}),
    "/v3/embeddings/models": frozenset({"embeddings"}),
    "/v3/images/models": frozenset({"images/generations", "images/edits", "images/variations"}),
    "/v3/audio/speech/models": frozenset({"audio/speech"}),
    "/v3/audio/transcriptions/models": frozenset({"audio/transcriptions"}),
    "/v3/moderations/models": frozenset({"moderations"}),
}


def routes() -> list[web.RouteDef]:
    found = []
    for prefix in ("/v1/models", "/openai/v1/models"):
        found += [web.get(prefix, every(prefix)), web.get(f"{prefix}/{_NAME}", one(prefix))]
    return [
        *found,
        *(web.get(path, catalogue(path, operations)) for path, operations in _PRICED.items()),
        web.get(f"/v3/models/{_NAME}", catalogued),
        web.get("/anthropic/v1/models", anthropic_every),
        web.get(f"/anthropic/v1/models/{_NAME}", anthropic_one),
    ]


def every(path: str) -> Handler:
    """The handler that lists all models at that path."""

    @declared(Policy.KEY, "list_models", path)
    async def handle(request: web.Request) -> web.Response:
        gateway = request.app[GATEWAY]
        caller(gateway, request)
        return _answer({"object": "list", "data": [_openai(entry) for entry in await gateway.catalogue.entries()]})

    return handle


def one(path: str) -> Handler:
    """The handler that shows one of those that are listed at that path."""

    @declared(Policy.KEY, "get_model", path)
    async def handle(request: web.Request) -> web.Response:
        return _answer(_openai(await _found(request)))

    return handle


def catalogue(path: str, operations: frozenset[str]) -> Handler:
    """The handler that lists models with their prices: those that can be asked for one of the operations, if any is
    named."""

    @declared(Policy.PUBLIC, "catalogue", path)
    async def handle(request: web.Request) -> web.Response:
        gateway = request.app[GATEWAY]

        async def make() -> bytes:
            listed = await gateway.catalogue.entries()
            able = [entry for entry in listed if not operations or not operations.isdisjoint(entry.operations)]
            return _rendered({"object": "list", "data": [await _priced(gateway, entry) for entry in able]})

        return web.Response(body=await gateway.catalogue.once(path, make), content_type="application/json")

    return handle


@declared(Policy.KEY, "catalogued")
async def catalogued(request: web.Request) -> web.Response:
    return _answer(await _priced(request.app[GATEWAY], await _found(request)))


@declared(Policy.KEY, "list_anthropic_models")
async def anthropic_every(request: web.Request) -> web.Response:
    """Those that can be asked for messages."""
    gateway = request.app[GATEWAY]
    caller(gateway, request)
    able = [_anthropic(entry) for entry in await gateway.catalogue.entries() if _CHAT in entry.operations]
    return _answer(models.anthropic_page(able, request.query))


@declared(Policy.KEY, "get_anthropic_model")
async def anthropic_one(request: web.Request) -> web.Response:
    return _answer(_anthropic(await _found(request)))


async def _found(request: web.Request) -> Entry:
    gateway = request.app[GATEWAY]
    caller(gateway, request)
    name = request.match_info["model"]
    entry = await gateway.catalogue.find(name)
    if entry is None:
        raise UnknownModel(f"there is no model {name[:_LONGEST_NAME]!r} in the list", param="model")
    return entry


def _openai(entry: Entry) -> dict[str, object]:
    offer = entry.offer
    more = {"about": offer.about, "license": offer.license}
    return models.openai_model(entry.id, entry.provider, offer.created, entry.operations, entry.aliases, more)


async def _priced(gateway: Gateway, entry: Entry) -> dict[str, object]:
    offer = entry.offer
    price = info.token_pricing(await gateway.tariff(entry.provider, offer.id))
    more = {"model_name": offer.id, "description": offer.about, "license": offer.license, "pricing": price}
    return models.openai_model(entry.id, entry.provider, offer.created, entry.operations, entry.aliases, more)


def _anthropic(entry: Entry) -> dict[str, object]:
    return models.anthropic_model(entry.id, entry.offer.id, entry.offer.created)


def _answer(content: dict[str, object]) -> web.Response:
    return web.Response(body=_rendered(content), content_type="application/json")


def _rendered(content: dict[str, object]) -> bytes:
    return orjson.dumps(content) + b"\n"

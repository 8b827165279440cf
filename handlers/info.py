"""`/v3/info`: which features there are, what each takes and answers, which models carry it out. Open to everyone."""

from collections.abc import Awaitable, Callable, Hashable

import orjson
from aiohttp import web

from ..schemas import info
from ..schemas.features.table import FEATURES, Feature
from .api import Policy, declared, slashed
from .dialects import mounted_at
from .gateway import GATEWAY, Gateway

PREFIX = "/v3/info"

#: Whose models have voices.
_SPEECH = "audio/tts"


def routes() -> list[web.RouteDef]:
    paths = (
        (PREFIX, every),
        (f"{PREFIX}/{{feature}}", family),
        (f"{PREFIX}/{{feature}}/{{subfeature}}", feature),
        (f"{PREFIX}/{_SPEECH}/voices", voices),
    )
    return slashed(*(web.get(path, handler) for path, handler in paths))


@declared(Policy.PUBLIC, "list_features")
async def every(request: web.Request) -> web.Response:
    gateway, schemas = request.app[GATEWAY], info.with_schemas(request.query)

    async def make() -> info.Json:
        return {"features": [await _family(gateway, name, schemas=schemas) for name in info.families()]}

    return await _answer(gateway, ("features", schemas), make)


@declared(Policy.PUBLIC, "show_family")
async def family(request: web.Request) -> web.Response:
    gateway, schemas = request.app[GATEWAY], info.with_schemas(request.query)
    name = request.match_info["feature"]
    # Before anything is kept under its name.
    info.family(name)
    return await _answer(gateway, ("family", name, schemas), lambda: _family(gateway, name, schemas=schemas))


@declared(Policy.PUBLIC, "show_feature")
async def feature(request: web.Request) -> web.Response:
    gateway, form, base = request.app[GATEWAY], info.format_of(request.query), mounted_at(request)
    found = info.feature(request.match_info["feature"], request.match_info["subfeature"])

    async def make() -> info.Json:
        return info.shown_feature(found, await _models(gateway, found), base, form)

    return await _answer(gateway, ("feature", found.name, form), make)


@declared(Policy.PUBLIC, "list_voices")
async def voices(request: web.Request) -> web.Response:
    """Those that providers tell; most do not."""
    gateway, speech = request.app[GATEWAY], FEATURES[_SPEECH]

    async def make() -> info.Json:
        offers = await gateway.catalogue.offers()
        found = [
            info.shown_voice(speech, provider, model, voice)
            for provider, model in await gateway.catalogue.able(speech.name, speech.operations)
            for offer in offers[provider]
            if offer.id == model
            for voice in offer.voices
        ]
        return {"voices": found}

    return await _answer(gateway, "voices", make)


async def _family(gateway: Gateway, name: str, *, schemas: bool) -> info.Json:
    features = info.family(name)
    shown = [info.shown_subfeature(each, await _models(gateway, each), schemas=schemas) for each in features]
    return info.shown_family(name, shown)


async def _models(gateway: Gateway, feature: Feature) -> list[info.Json]:
    """Those that requests can name, by their whole names: each provider's default first."""
    found = await gateway.catalogue.able(feature.name, feature.operations)
    return [
        info.shown_model(feature, provider, model, await gateway.tariff(provider, model)) for provider, model in found
    ]


async def _answer(gateway: Gateway, key: Hashable, make: Callable[[], Awaitable[info.Json]]) -> web.Response:
    async def rendered() -> bytes:
        return orjson.dumps(await make()) + b"\n"

    return web.Response(body=await gateway.catalogue.once(key, rendered), content_type="application/json")

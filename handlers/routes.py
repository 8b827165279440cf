"""Every route, in the order in which the router looks at those that begin alike."""

from aiohttp import web

from . import (
    content,
    docs,
    events,
    health,
    info,
    jobs,
    keys,
    links,
    metrics,
    models,
    providers,
    sdk,
    universal,
    uploads,
    v1,
    webhooks,
)


def routes() -> list[web.RouteDef]:
    return [
        *(route for words in (jobs, events, content, v1) for route in words.routes()),
        *(route for words in (universal, links, uploads, info) for route in words.routes()),
        *(route for words in (sdk, models, webhooks) for route in words.routes()),
        *(route for words in (keys, providers, health, metrics, docs) for route in words.routes()),
    ]

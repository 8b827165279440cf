"""What a request of the v3 dialect asks for: its body checked, its providers found, its files named."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from aiohttp import web
from multidict import istr

from ..engine.errors import Unprocessable
from ..engine.feature_targets import resolve
from ..engine.fetch import check_url
from ..engine.jobs import Hook
from ..schemas import universal
from ..schemas.features.table import Feature
from ..schemas.fields import named
from ..schemas.universal import Universal
from . import bodies, inputs
from .gateway import Gateway
from .inputs import Source
from .wanted import IDEMPOTENCY_KEY, Wanted

_TAGS, _METADATA = istr("X-EdenAI-Tags"), istr("x-edenai-metadata")

#: The field that most features have, and what else clients call it.
_FILE, _ALIASES = "file", ("file_id", "file_url")


class Asked(NamedTuple):
    work: Wanted
    request: Universal
    #: Whether the answer is to say how it came about.
    metadata: bool


async def wanted(request: web.Request, gateway: Gateway, *, job: bool) -> Asked:
    """What the request asks for; `job`: it may name a receiver. Raises a `Refusal`."""
    body = await bodies.read(request, gateway.config.server.max_json_bytes)
    keyed = IDEMPOTENCY_KEY in request.headers
    tags = request.headers.get(_TAGS)
    work, found = await bodies.off_loop(len(body), _wanted, gateway, body, tags, job, keyed)
    return Asked(work, found, request.headers.get(_METADATA, "").strip().lower() == "enabled")


def _wanted(gateway: Gateway, body: bytes, tags: str | None, job: bool, keyed: bool) -> tuple[Wanted, Universal]:
    found = universal.load(bodies.parse(body), tags, job=job)
    feature, given = found.feature, found.input
    sources = tuple(_sources(feature, given))
    kept = {
        "input": feature.load(given, {source.role for source in sources}),
        "provider_params": found.provider_params,
        "show_original_response": found.show_original_response,
    }
    targets = tuple(
        resolve(
            feature.name,
            choice.provider,
            choice.model,
            gateway.providers,
            feature.kinds,
            param=f"fallbacks[{place - 1}]" if place else "model",
        )
        for place, choice in enumerate(found.choices)
    )
    identity = b""
    if keyed:
        named_files = [[source.role, source.place, source.value] for source in sources]
        told = [found.receiver, found.parameters]
        identity = bodies.identity("v3", feature.name, list(map(list, found.choices)), kept, named_files, told)
    parameters = None if found.parameters is None else bodies.render(found.parameters)
    work = Wanted(
        operation=feature.name,
        model=found.model,
        targets=targets,
        request=bodies.render(kept),
        identity=identity,
        sources=sources,
        dialect="v3",
        hook=_hook(found, parameters),
        parameters=parameters,
    )
    return work, found


def _hook(found: Universal, parameters: bytes | None) -> Hook | None:
    if found.receiver is None:
        return None
    wrong = check_url(found.receiver)
    if wrong is not None:
        raise Unprocessable(f"the address {wrong}", param="webhook_receiver")
    return Hook(endpoint=None, url=found.receiver, parameters=parameters)


def _sources(feature: Feature, given: dict[str, Any]) -> Iterator[Source]:
    """The files that the input names, which are taken out of it. Raises `Unprocessable` for what names none."""
    for role, field in feature.files.items():
        at = role
        if role == _FILE and given.get(role) is None:
            at = next((alias for alias in _ALIASES if given.get(alias) is not None), role)
        value = given.pop(at, None)
        if value is None:
            continue
        values = value if isinstance(value, list) and field.most > 1 else [value]
        if len(values) > field.most:
            raise Unprocessable(f"at most {field.most} files, got {len(values)}", param=f"input.{at}")
        for place, one in enumerate(values):
            where = f"input.{at}[{place}]" if values is value else f"input.{at}"
            if isinstance(one, dict) and field.most > 1:
                # What the client says of the file beside is not known to any provider.
                one, where = one.get(_FILE), f"{where}.{_FILE}"
            if not isinstance(one, str):
                raise Unprocessable(
                    f"expected the id of an upload, a URL or a data: URI, got {named(one)}", param=where
                )
            inputs.check(one, where)
            yield Source(role, place, one, where)

"""What a request asks for: its body, JSON or a form, checked and its models found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web
from multidict import istr

from ..engine.errors import Unavailable
from ..engine.jobs import Attached, Hook
from ..engine.keys import Caller
from ..engine.targets import Target, resolve, usual
from ..schemas.operations import Loaded, Operation
from . import bodies, rates
from .gateway import Gateway

if TYPE_CHECKING:
    from .inputs import Source

# Looked up in every submit: it need not be compared letter by letter.
IDEMPOTENCY_KEY = istr("Idempotency-Key")


class Wanted(NamedTuple):
    """What a job is to do."""

    operation: str
    #: As the client named it; the default, with its provider, where it named none.
    model: str
    targets: tuple[Target, ...]
    #: What the provider is given, as JSON.
    request: bytes
    #: What an idempotency key stands for: two requests with the same are the same. Empty where there is no key.
    identity: bytes
    #: The job that this one repeats: the new one has its owner, and what the headers do not say is as it was there.
    parent: "Parent | None" = None
    #: The request's files: `submission.submit` keeps them or discards them.
    files: tuple[Attached, ...] = ()
    #: The files that the request names, which are fetched when nothing else speaks against the job.
    sources: "tuple[Source, ...]" = ()
    dialect: str = "v1"
    #: Who is to be told of the end; None: whom the headers name.
    hook: Hook | None = None
    #: What whom the headers name gets back, as JSON.
    parameters: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parent:
    id: str
    owner: str
    ttl_seconds: int
    priority: int
    #: Its seq, if its request has files: they are the new one's too.
    files_of: int | None
    hook: Hook | None


async def wanted(request: web.Request, gateway: Gateway, who: Caller, operation: Operation) -> Wanted:
    """What the request's body asks of the operation. Raises a `Refusal`; a form is not even read where the job would be
    refused whatever it says."""
    if operation.files:
        return await _of_form(request, gateway, who, operation)
    body = await bodies.read(request, gateway.config.server.max_json_bytes)
    keyed = IDEMPOTENCY_KEY in request.headers
    return await bodies.off_loop(len(body), _of_json, gateway, operation, body, keyed)


def of_body(gateway: Gateway, operation: Operation, body: object, *, keyed: bool) -> Wanted:
    """What a body, parsed JSON, asks of the operation; `keyed`: its identity will be needed."""
    return _resolved(gateway, operation, operation.load(body), keyed=keyed)


def _of_json(gateway: Gateway, operation: Operation, body: bytes, keyed: bool) -> Wanted:
    return of_body(gateway, operation, bodies.parse(body), keyed=keyed)


async def _of_form(request: web.Request, gateway: Gateway, who: Caller, operation: Operation) -> Wanted:
    keyed = IDEMPOTENCY_KEY in request.headers
    if not gateway.pool.accepting:
        raise Unavailable("the server is stopping or has not started yet", retry_after=5)
    if not keyed:
        # What repeats an earlier submit is answered all the same.
        rates.foresee(gateway, who)
    # Not imported where nobody sends forms: what it is read with takes a thirtieth of a start.
    from . import forms

    blobs = gateway.store.blobs
    form = await forms.read(request, blobs, operation.files, gateway.config.server)
    try:
        size = sum(len(text) for _, text in form.texts)
        return await bodies.off_loop(size, _of_fields, gateway, operation, form.texts, form.files, keyed)
    except BaseException:
        await blobs.discard(*(file.blob for file in form.files))
        raise


def _of_fields(
    gateway: Gateway,
    operation: Operation,
    texts: Sequence[tuple[str, str]],
    files: tuple[Attached, ...],
    keyed: bool,
) -> Wanted:
    return _resolved(gateway, operation, operation.load_form(texts, {file.role for file in files}), files, keyed=keyed)


def _resolved(
    gateway: Gateway, operation: Operation, loaded: Loaded, files: tuple[Attached, ...] = (), *, keyed: bool
) -> Wanted:
    model = loaded.model or usual(operation.name, gateway.providers)
    names = (model, *loaded.fallbacks)
    params = ("model", *(f"fallbacks[{i}]" for i in range(len(loaded.fallbacks))))
    # A default may change between a request and its repeat.
    said = (loaded.model, *loaded.fallbacks)
    return Wanted(
        operation=operation.name,
        model=model,
        targets=tuple(
            resolve(name, operation.name, gateway.providers, param=param)
            for name, param in zip(names, params, strict=True)
        ),
        request=bodies.render(loaded.body),
        identity=bodies.identity(operation.name, said, loaded.body, *_named(files)) if keyed else b"",
        files=files,
    )


def _named(files: Sequence[Attached]) -> list[Any]:
    return [[file.role, file.place, file.file_name, file.blob.sha256.hex()] for file in files]

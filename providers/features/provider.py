"""A provider that also carries out features: by itself where it has them, else by what it can do.

An operation of v1 goes straight through. The request of a feature is
`{"input": …, "provider_params": {"<provider>": …}, "show_original_response": …}`, its result the feature's output.
"""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from ...engine.calls import Call, CallPolicy, Offer, Provider, Reply, Resumes
from ...engine.errors import NotConfigured
from .originals import original
from .ways import Way, way_of

#: Of a feature's request.
_KEYS = frozenset({"input", "provider_params", "show_original_response"})

#: What a client's parameters for a provider never say: which model, what it is given, that there is a stream, and that
#: vectors come as something else than numbers.
_NOT_PARAMETERS = frozenset(
    {
        *("model", "models", "fallbacks", "stream", "stream_options", "stream_format", "encoding_format"),
        *("input", "prompt", "document", "file", "files", "image", "images", "mask"),
    }
)


def featured(name: str, kind: str, inner: Provider) -> Provider:
    """The provider of that name with features; `kind` is the word of its table."""
    return _Resuming(name, kind, inner, inner) if isinstance(inner, Resumes) else Featured(name, kind, inner)


class Featured:
    def __init__(self, name: str, kind: str, inner: Provider) -> None:
        self._name = name
        self._kind = kind
        self._inner = inner

    @property
    def policy(self) -> CallPolicy:
        return self._inner.policy

    @property
    def lanes(self) -> Mapping[str, int]:
        return self._inner.lanes

    @property
    def models(self) -> tuple[str, ...]:
        return self._inner.models

    def lane(self, operation: str, model: str) -> str:
        if (way := self._way(operation, model)) is None:
            return self._inner.lane(operation, model)
        able = (asked for asked in way.operations if self._inner.check(asked, model) is None)
        return self._inner.lane(next(able, way.operations[0]), model)

    def check(self, operation: str, model: str) -> str | None:
        if (way := self._way(operation, model)) is None:
            return self._inner.check(operation, model)
        refusals = [self._inner.check(asked, model) for asked in way.operations]
        return None if None in refusals else refusals[0]

    def default(self, operation: str) -> str | None:
        model, way = self._inner.default(operation), way_of(operation)
        if model is not None or way is None:
            return model
        return next(filter(None, map(self._inner.default, way.operations)), None)

    async def start(self) -> None:
        await self._inner.start()

    async def close(self) -> None:
        await self._inner.close()

    async def ping(self) -> str:
        return await self._inner.ping()

    async def offers(self) -> Sequence[Offer]:
        return await self._inner.offers()

    def execute(self, call: Call) -> Coroutine[Any, Any, Reply]:
        if (way := self._way(call.operation, call.model)) is not None:
            return self._by(way, call)
        return self._alone(call) if call.request.keys() == _KEYS else self._inner.execute(call)

    def _way(self, operation: str, model: str) -> Way | None:
        """The way to this feature; None where the provider has it by itself, or where it is no feature."""
        way = way_of(operation)
        return None if way is None or self._inner.check(operation, model) is None else way

    async def _alone(self, call: Call) -> Reply:
        """By a provider that has the feature by itself."""
        reply = await self._inner.execute(call)
        if not call.request["show_original_response"]:
            return reply
        return replace(reply, original=original(reply.result, reply.files))

    async def _by(self, way: Way, call: Call) -> Reply:
        own = self._own(call)
        asked = await way.ask(call, self._kind, own)
        model = self._model(way, asked.operation, call.model)
        heard: list[bytes] = []
        wanted = call.request["show_original_response"]
        made = replace(
            call,
            operation=asked.operation,
            model=model,
            request={**asked.request, **own},
            files=asked.files,
            original=heard.append if wanted else None,
        )
        reply = await self._inner.execute(made)
        result = orjson.loads(reply.result)
        return replace(
            reply,
            result=orjson.dumps(way.answer(made, result, reply)),
            original=original(heard[-1] if heard else reply.result, reply.files) if wanted else None,
            made=made,
        )

    def _model(self, way: Way, operation: str, model: str) -> str:
        """The model for what a way asks: the default of one of its operations stands for those of the others.

        Raises `NotConfigured` if the provider does not carry it out with this model.
        """
        why = self._inner.check(operation, model)
        if why is None:
            return model
        usual = self._inner.default(operation)
        if usual is not None and model in map(self._inner.default, way.operations):
            return usual
        raise NotConfigured(f"The provider {self._name} {why}.")

    def _own(self, call: Call) -> dict[str, Any]:
        """The client's parameters for this provider: they win over what the feature's input says."""
        given = call.request["provider_params"].get(self._name, {})
        return {key: value for key, value in given.items() if key not in _NOT_PARAMETERS}


class _Resuming(Featured):
    """One whose vendor runs calls as jobs."""

    def __init__(self, name: str, kind: str, inner: Provider, resumes: Resumes) -> None:
        super().__init__(name, kind, inner)
        self._resumes = resumes

    async def abandon(self, call: Call) -> None:
        await self._resumes.abandon(call)

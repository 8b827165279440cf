"""Where a job may run: a provider and the model there."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import orjson

from .calls import Provider
from .errors import UnknownModel


@dataclass(frozen=True, slots=True)
class Target:
    provider: str
    #: As the provider names it.
    model: str


def render_targets(targets: Iterable[Target]) -> str:
    return orjson.dumps([[t.provider, t.model] for t in targets]).decode()


@lru_cache(maxsize=1024)
def parse_targets(text: str) -> tuple[Target, ...]:
    return tuple(Target(provider, model) for provider, model in orjson.loads(text))


def resolve(name: str, operation: str, providers: Mapping[str, Provider], *, param: str = "model") -> Target:
    """The target that a client means by `name`: "provider/model", or the bare name of a model that exactly one
    provider declares.

    Raises `UnknownModel`, naming what would do, if the provider is unknown or cannot carry out the operation.
    """
    prefix, slash, model = name.partition("/")
    target = Target(prefix, model) if slash and prefix in providers else _declared(name, operation, providers, param)
    why = providers[target.provider].check(operation, target.model)
    if why is None:
        return target
    raise UnknownModel(f"provider {target.provider} {why}{_instead(operation, providers)}", param=param)


def usual(operation: str, providers: Mapping[str, Provider]) -> str:
    """The name, as "provider/model", of the model for clients that name none: that of the first provider, in the
    configuration's order, that has a default for the operation. Raises `UnknownModel` where none has."""
    for name, provider in providers.items():
        model = provider.default(operation)
        if model is not None:
            return f"{name}/{model}"
    text = f"model is required: no provider has a default for {operation}{_instead(operation, providers)}"
    raise UnknownModel(text, param="model")


def _declared(name: str, operation: str, providers: Mapping[str, Provider], param: str) -> Target:
    """The one target whose provider declares the bare model `name`."""
    owners = [p for p, provider in providers.items() if name in provider.models]
    if len(owners) == 1:
        return Target(owners[0], name)
    text = "provider is required in model field (format: provider/model): "
    if owners:
        text += f"{name!r} is declared by {_or(f'{p}/{name}' for p in owners)}"
    elif "/" in name:
        prefix = name.partition("/")[0]
        near = difflib.get_close_matches(prefix, providers, n=1)
        meant = f", did you mean {near[0]!r}?" if near else ""
        text += f"{prefix!r} is not a configured provider{meant}{_instead(operation, providers)}"
    else:
        text += f"no provider declares {name!r}{_instead(operation, providers)}"
    raise UnknownModel(text, param=param)


def _instead(operation: str, providers: Mapping[str, Provider]) -> str:
    able = [
        f"{p}/{model}"
        for p, provider in providers.items()
        for model in provider.models or ("…",)
        if provider.check(operation, model) is None
    ]
    if not able:
        return f"; no configured provider has the operation {operation}"
    return f"; for {operation} use {_or(able[:8])}"


def _or(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} or {last}" if rest else last

"""Where a job of a feature may run: a provider, and its model or the one that the provider takes for the feature."""

import difflib
from collections.abc import Iterable, Mapping

from .calls import Provider
from .errors import UnknownModel
from .targets import Target

#: Stands for whatever model, where a provider declares none.
_NOBODYS = "…"


def resolve(
    feature: str,
    provider: str,
    model: str | None,
    providers: Mapping[str, Provider],
    kinds: Iterable[str],
    *,
    param: str,
) -> Target:
    """The target for the model at the provider; `model` None: its default. `kinds` are those of the providers that
    could carry out the feature.

    Raises `UnknownModel`, naming what would do, if the provider is unknown, cannot carry out the feature, or needs a
    model.
    """

    def refusal(why: str) -> UnknownModel:
        return UnknownModel(why if param == "model" else f"{param}: {why}", param=param)

    found = providers.get(provider)
    if found is None:
        near = difflib.get_close_matches(provider, providers, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise refusal(f"{provider[:40]!r} is not a configured provider{meant}{_instead(feature, providers, kinds)}")
    at = found.default(feature) if model is None else model
    if at is None and able(found, feature):
        raise refusal(f"provider {provider} needs a model for {feature}: {feature}/{provider}/MODEL")
    why = found.check(feature, at or _NOBODYS)
    if at is not None and why is None:
        return Target(provider, at)
    raise refusal(f"provider {provider} {why}{_instead(feature, providers, kinds)}")


def able(provider: Provider, feature: str) -> bool:
    """Whether the provider carries out the feature, with its default or with any model that it declares."""
    models = (provider.default(feature), *(provider.models or (_NOBODYS,)))
    return any(provider.check(feature, model) is None for model in models if model is not None)


def _instead(feature: str, providers: Mapping[str, Provider], kinds: Iterable[str]) -> str:
    found = [name for name, provider in providers.items() if able(provider, feature)]
    if found:
        return f"; for {feature} use {_or(found[:8])}"
    could = ", ".join(kinds)
    more = f"; providers of these kinds could: {could}" if could else ""
    return f"; no configured provider has {feature}{more}"


def _or(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} or {last}" if rest else last

"""Requests of the v3 dialect: a feature, an input for it, and providers to try."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..engine.errors import Unacceptable, UnknownModel, Unprocessable
from .features.table import FAMILIES, FEATURES, Feature, check_types, find
from .fields import Examples, Flag, ListOf, MapOf, Object, Shape, Text, named, shown

MOST_FALLBACKS = 3
MOST_TAGS = 10
#: As long as a v1 model's name, and a feature's before it.
_LONGEST_MODEL = 400

_TAG_KEY, _TAG_VALUE = re.compile(r"[A-Za-z0-9\-_.:/]{1,64}"), re.compile(r"[A-Za-z0-9\-_.:/]{1,128}")
_TAG_LETTERS = "letters, digits and - _ . : /"
_RESERVED = "eden:"


class UniversalRequest(Shape):
    """Unknown keys are passed over."""

    model = Text("`feature/subfeature/provider`, or that and `/model`.", required="model is required")
    input = Object(None, "What the feature takes: see `/v3/info`.", required="input is required")
    provider_params = Object(
        None,
        "More for the providers: by their names, or else for the first one alone. What stands here wins over `input`.",
    )
    fallbacks = ListOf(
        Text(),
        of="models",
        about="Up to 3 to try in this order when the first one fails, each as `provider`, `provider/model` or whole.",
    )
    show_original_response = Flag("Adds what the provider itself answered.")
    tags = MapOf(Text(), "Up to ten words of your own, which come back in `edenai_metadata`.")

    examples: ClassVar[Examples] = {
        "Embeddings": {"model": "text/embeddings/echo", "input": {"texts": ["a coat", "a ticket"]}},
        "With a fallback": {
            "model": "text/embeddings/echo/echo",
            "input": {"texts": ["a coat"]},
            "fallbacks": ["echo"],
            "tags": {"team": "cloakroom"},
        },
    }


class UniversalJobRequest(UniversalRequest):
    webhook_receiver = Text("Where to send word of the job's end; an http or https URL of up to 2083 characters.")
    user_webhook_parameters = Object(None, "Comes back in the webhook as `user_parameters`.")


class Choice(NamedTuple):
    """A provider that a client names, and its model if it names one."""

    provider: str
    model: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Universal:
    """A request that is valid, but for its input."""

    #: As the client sent it.
    model: str
    feature: Feature
    #: The first, and the fallbacks.
    choices: tuple[Choice, ...]
    input: dict[str, Any]
    #: By the provider's name.
    provider_params: Mapping[str, Mapping[str, Any]]
    show_original_response: bool
    tags: Mapping[str, str]
    receiver: str | None
    parameters: dict[str, Any] | None


_REQUEST, _JOB_REQUEST = UniversalRequest(), UniversalJobRequest()


def load(body: object, header_tags: str | None = None, *, job: bool) -> Universal:
    """The request in `body`, parsed JSON; `header_tags` are those of `X-EdenAI-Tags`, which count where the body has
    none; `job`: it may name a receiver.

    Raises `Unprocessable` for a wrong type or what is missing, `UnknownModel` for a name that stands for no feature,
    `Unacceptable` for a tag.
    """
    if not isinstance(body, dict):
        raise Unprocessable(f"expected a JSON object, got {named(body)}")
    schema: Shape = _JOB_REQUEST if job else _REQUEST
    sent = {key: body[key] for key in schema.load_fields if body.get(key) is not None}
    check_types(schema, sent)
    for key, missing in schema.required.items():
        if key not in sent or sent[key] == "":
            raise Unprocessable(missing, param=key)
    fallbacks: list[str] = sent.get("fallbacks", [])
    if len(fallbacks) > MOST_FALLBACKS:
        raise Unprocessable(f"at most {MOST_FALLBACKS} fallbacks, got {len(fallbacks)}", param="fallbacks")
    feature, first = _named(sent["model"])
    rest = [_fallback(feature, name, f"fallbacks[{place}]") for place, name in enumerate(fallbacks)]
    choices = (first, *rest)
    return Universal(
        model=sent["model"],
        feature=feature,
        choices=choices,
        input=dict(sent["input"]),
        provider_params=_parameters(feature, sent.get("provider_params", {}), choices),
        show_original_response=sent.get("show_original_response", False),
        tags=_tags(list(sent["tags"].items())) if "tags" in sent else _header_tags(header_tags),
        receiver=sent.get("webhook_receiver"),
        parameters=sent.get("user_webhook_parameters"),
    )


def _named(name: str) -> tuple[Feature, Choice]:
    """The feature and the provider of a model's whole name: only the first three slashes separate."""
    if len(name) > _LONGEST_MODEL:
        raise UnknownModel(f"a model's name has at most {_LONGEST_MODEL} characters", param="model")
    family, *rest = name.split("/", 3)
    if family not in FAMILIES:
        why = f"there is no feature {shown(family)}; there are {', '.join(FAMILIES)}"
        raise UnknownModel(_wrong(name, why), param="model")
    known = [feature.subfeature for feature in FEATURES.values() if feature.family == family]
    feature = find(family, rest[0]) if rest else None
    if feature is None:
        what = f"{family} has no subfeature {shown(rest[0])}" if rest else "a subfeature is missing"
        raise UnknownModel(_wrong(name, f"{what}; {family} has {', '.join(known)}"), param="model")
    if len(rest) < 2 or not rest[1]:
        raise UnknownModel(_wrong(name, "a provider is missing"), param="model")
    return feature, Choice(rest[1], rest[2] if len(rest) > 2 and rest[2] else None)


def _fallback(feature: Feature, name: str, param: str) -> Choice:
    """A fallback, however it is spelled: whole, if its first two parts are a feature."""
    parts = name.split("/", 3)
    other = find(parts[0], parts[1]) if len(parts) > 2 else None
    if other is not None:
        if other is not feature:
            why = f"{shown(name)} is of {other.name}; a fallback is of the same feature, {feature.name}"
            raise UnknownModel(f"{param}: {why}", param=param)
        return _named(name)[1]
    provider, _, model = name.partition("/")
    if not provider or len(name) > _LONGEST_MODEL:
        what = f"provider, provider/model or {feature.name}/provider/model"
        raise UnknownModel(f"{param}: expected {what}, got {shown(name)}", param=param)
    return Choice(provider, model or None)


def _wrong(name: str, why: str) -> str:
    return f"{why}; a model is feature/subfeature/provider[/model], got {shown(name)}"


def _parameters(
    feature: Feature, given: dict[str, Any], choices: tuple[Choice, ...]
) -> Mapping[str, Mapping[str, Any]]:
    """By the provider's name. Where not all keys are such names, with an object each, all of it is the first one's."""
    providers = {choice.provider for choice in choices}
    apart = all(key in providers and isinstance(value, dict) for key, value in given.items())
    for name, own in given.items() if apart else (("", given),):
        feature.check_parameters(own, f"provider_params.{name}".removesuffix("."))
    return given if apart else {choices[0].provider: given}


def _header_tags(header: str | None) -> Mapping[str, str]:
    pairs = [pair.partition("=") for pair in (header or "").split(",") if pair.strip()]
    return _tags([(key.strip(), value.strip()) for key, _, value in pairs])


def _tags(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """The tags, with keys in lower case; raises `Unacceptable`."""
    tags: dict[str, str] = {}
    if len(pairs) > MOST_TAGS:
        raise Unacceptable(f"at most {MOST_TAGS} tags, got {len(pairs)}", param="tags")
    for key, value in pairs:
        if not _TAG_KEY.fullmatch(key):
            raise Unacceptable(f"tag {shown(key)}: a key has 1 to 64 {_TAG_LETTERS}", param="tags")
        if not _TAG_VALUE.fullmatch(value):
            why = f"a value has 1 to 128 {_TAG_LETTERS}, got {shown(value)}"
            raise Unacceptable(f"tag {shown(key)}: {why}", param="tags")
        if key.lower().startswith(_RESERVED):
            raise Unacceptable(f"tag {shown(key)}: what begins with {_RESERVED} is reserved", param="tags")
        tags[key.lower()] = value
    return tags

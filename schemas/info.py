"""What there is of features and models, as the v3 dialect tells it: made of the same classes that check requests."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from marshmallow import fields

from ..engine.calls import Rate
from ..engine.errors import InvalidRequest
from .features.inputs import FileInput, Input
from .features.table import FAMILIES, FEATURES, Feature, find
from .fields import Flag, Integer, ListOf, MapOf, Number, Object, Shape, Strict, Text, shown
from .json_schema import published
from .v3 import UnknownFeature

Json = dict[str, Any]

Format = Literal["simplified", "json_schema"]

_PATH = "/v3/universal-ai"
_JOBS = f"{_PATH}/async"

#: The simple words for fields; a field that is none of these may be anything.
_WORDS: Mapping[type[Strict], str] = {
    Text: "string",
    Integer: "int",
    Number: "float",
    Flag: "bool",
    ListOf: "array",
    MapOf: "dict",
    FileInput: "file_input",
}
#: What is published of a field under its own name.
_LIMITS = ("minimum", "maximum", "enum", "pattern")

#: The id of an upload, an http(s) URL or a data: URI.
_NAMES = ({"format": "uuid"}, {"format": "uri"})

#: What a price stands for by itself: the rest is of parts, or of what few calls use.
_MAIN = frozenset(
    {
        *("input_tokens", "output_tokens", "characters", "seconds", "minutes", "images", "pages", "requests"),
        *("audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens"),
    }
)
#: Operations whose answers have no tokens of their own.
_UNSPOKEN = frozenset({"embeddings", "rerank", "moderations"})
_FREE = Rate(Decimal(0), 1, "request")


def families() -> dict[str, list[Feature]]:
    """The features by the first part of their names, as far as there are any."""
    found = {name: [feature for feature in FEATURES.values() if feature.family == name] for name in FAMILIES}
    return {name: features for name, features in found.items() if features}


def family(name: str) -> list[Feature]:
    """Raises `UnknownFeature`."""
    found = families()
    if name not in found:
        raise UnknownFeature(f"there is no feature {shown(name)}", available={"available_features": list(found)})
    return found[name]


def feature(name: str, subfeature: str) -> Feature:
    """Raises `UnknownFeature`."""
    known = [feature.subfeature for feature in family(name)]
    found = find(name, subfeature)
    if found is None:
        message = f"{name} has no subfeature {shown(subfeature)}"
        raise UnknownFeature(message, available={"available_subfeatures": known})
    return found


def format_of(query: Mapping[str, str]) -> Format:
    """Raises `InvalidRequest`."""
    match query.get("format", "simplified"):
        case "simplified":
            return "simplified"
        case "json_schema":
            return "json_schema"
        case other:
            message = f"expected 'simplified' or 'json_schema', got {shown(other)}"
            raise InvalidRequest(message, param="format", place="query")


def with_schemas(query: Mapping[str, str]) -> bool:
    return "schemas" in query.get("include", "").split(",")


def shown_family(name: str, subfeatures: Sequence[Json]) -> Json:
    fullname, description = FAMILIES[name]
    return {"name": name, "fullname": fullname, "description": description, "subfeatures": subfeatures}


def shown_subfeature(feature: Feature, models: Sequence[Json], *, schemas: bool) -> Json:
    """As a line of a list."""
    about = {"name": feature.subfeature, "fullname": feature.fullname, "description": feature.description}
    return {**about, "mode": feature.mode, **(_schemas(feature, "simplified") if schemas else {}), "models": models}


def shown_feature(feature: Feature, models: Sequence[Json], base: str, form: Format) -> Json:
    """All that there is to say of it; `base` is where the application is mounted."""
    return {
        "feature": feature.family,
        "feature_fullname": FAMILIES[feature.family].fullname,
        "subfeature": feature.subfeature,
        "subfeature_fullname": feature.fullname,
        "description": feature.description,
        "mode": feature.mode,
        "endpoints": _endpoints(feature, base),
        **_schemas(feature, form),
        "models": models,
        "kinds": list(feature.kinds),
    }


def shown_model(feature: Feature, provider: str, model: str, rates: Mapping[str, Rate] | None) -> Json:
    """A model by its whole name. Where it runs is not known here, so that `regions` is empty."""
    name = f"{feature.name}/{provider}/{model}"
    return {"model": name, "pricing": pricing(feature.operations, rates), "regions": []}


def shown_voice(feature: Feature, provider: str, model: str, voice: str) -> Json:
    return {"voice": voice, "provider": provider, "model": f"{feature.name}/{provider}/{model}"}


def pricing(operations: Collection[str], rates: Mapping[str, Rate] | None) -> Json | None:
    """The one price of a model for what these operations do; None where it is not known, or where one does not say it
    all."""
    if rates is None:
        return None
    unspoken = {"output_tokens"} if operations and _UNSPOKEN.issuperset(operations) else set()
    main = [rate for name, rate in rates.items() if name in _MAIN - unspoken]
    if len(main) > 1 or (rates and not main):
        return None
    price, quantity, unit = main[0] if main else _FREE
    return {"price": f"{price:f}", "price_unit_quantity": quantity, "price_unit_type": unit}


def token_pricing(rates: Mapping[str, Rate] | None) -> Json | None:
    """What a token costs that goes in, and one that comes out; None where that is not known."""
    if rates is None or (rates and not rates.keys() & {"input_tokens", "output_tokens"}):
        return None
    found = {"input_cost_per_token": "input_tokens", "output_cost_per_token": "output_tokens"}
    return {name: _each(rates.get(of)) for name, of in found.items()}


def _each(rate: Rate | None) -> str:
    return "0" if rate is None else f"{(rate.price / rate.quantity).normalize():f}"


def _endpoints(feature: Feature, base: str) -> Json:
    """Where the feature is asked for, and its jobs are looked after: `create` is what the mode leads to expect."""
    run = {"method": "POST", "url": f"{base}{_PATH}"}
    submit = {"method": "POST", "url": f"{base}{_JOBS}"}
    job = f"{base}{_JOBS}/{{job_id}}"
    return {
        **({"create": run, "create_async": submit} if feature.mode == "sync" else {"create": submit}),
        "get": {"method": "GET", "url": job},
        "list": {"method": "GET", "url": f"{base}{_JOBS}"},
        "delete": {"method": "DELETE", "url": job},
    }


def _schemas(feature: Feature, form: Format) -> Json:
    made = simplified if form == "simplified" else json_schema
    return {"input_schema": made(feature.input_schema), "output_schema": made(feature.output_schema)}


def simplified(shape: Shape) -> Json:
    """The fields of an object, each with its type as a simple word."""
    return {"fields": [_field(name, field) for name, field in _known(shape)]}


def _field(name: str, field: Strict) -> Json:
    about = {"description": field.metadata["description"]} if field.metadata.get("description") else {}
    return {"name": name, **_kind(field), "required": field.required, **about}


def _kind(field: Strict) -> Json:
    said = {name: field.metadata[name] for name in _LIMITS if name in field.metadata}
    if isinstance(field, FileInput):
        file = {"type": "file_input", "allowed_mime_types": list(field.media_types)}
        return file if field.most == 1 else {"type": "array", "items": file, "max_items": field.most}
    if isinstance(field, Object):
        return {"type": "dict"} if field.inner is None else {"type": "object", **simplified(field.inner)}
    if isinstance(field, ListOf):
        items = [_kind(kind) for kind in field.kinds]
        return {"type": "array", "items": items[0] if len(items) == 1 else {"type": "any"}}
    if isinstance(field, MapOf):
        return {"type": "dict", "values": _kind(field.kind)}
    word = "enum" if "enum" in said else _WORDS.get(type(field), "any")
    return {"type": "uuid" if field.metadata.get("format") == "uuid" else word, **said}


class _Within:
    """Writes the shapes of objects where they stand, so that a schema needs no other."""

    def resolve_nested_schema(self, shape: Shape) -> Json:
        return json_schema(shape)


def json_schema(shape: Shape) -> Json:
    """The object as JSON Schema."""
    known = _known(shape)
    properties = {name: _property(field) for name, field in known}
    required = [name for name, field in known if field.required]
    needs = {field: [other] for field, other in shape.needs.items()} if isinstance(shape, Input) else {}
    more = {"required": required, "dependentRequired": needs}
    return {"type": "object", "properties": properties, **{name: said for name, said in more.items() if said}}


def _property(field: Strict) -> Json:
    shape = published(_Within(), field, {})
    return {**shape, **_file(field)} if isinstance(field, FileInput) else shape


def _file(field: FileInput) -> Json:
    """What a file is named by; of several, also by an object that says more of it."""
    types = {"allowed_mime_types": list(field.media_types)}
    if field.most == 1:
        return {"anyOf": _NAMES, **types}
    name = {"type": "string", "anyOf": _NAMES}
    told = {"type": "object", "properties": {"file": name}, "required": ["file"]}
    items = {"anyOf": [name, told], **types}
    return {"type": ["array", "null"], "items": items, "minItems": 1, "maxItems": field.most}


def _known(shape: Shape) -> list[tuple[str, Strict]]:
    found: Mapping[str, fields.Field[Any]] = shape.load_fields
    return [(field.data_key or name, field) for name, field in found.items() if isinstance(field, Strict)]

"""Fields as JSON Schema, for the documents."""

from typing import Any

from marshmallow import fields

from .features.inputs import Input
from .fields import ListOf, MapOf, Object, OneOf, Strict
from .requests import Request, Upload
from .tables import Exactly

Json = dict[str, Any]

_LEAST = {"string": "minLength", "array": "minItems"}

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def published(converter: Any, field: fields.Field[Any], ret: Json, **_options: Any) -> Json:
    """What apispec's converter, of which this is an attribute function, cannot know of our fields."""
    if isinstance(field, Strict):
        shape = _strict(converter, field)
        if field.required and isinstance(field.parent, Request | Input):
            _fill(shape)
        return _or_null(shape) if field.allow_none else shape
    if isinstance(field, Exactly):
        return _exactly(field, ret)
    more: Json = {}
    if "format" in ret and "type" not in ret:
        more["type"] = "string"
    if "pattern" in ret:
        # JSON Schema's expressions are JavaScript's, whose end of the text is `$`.
        more["pattern"] = ret["pattern"].replace(r"\Z", "$")
    return more


def _exactly(field: Exactly, ret: Json) -> Json:
    """Apart from its type, the field says all; what it says before its type is known has other names."""
    shape: Json = {"type": _TYPES[field.accepted[-1]]}
    for name in ("minimum", "maximum"):
        if f"x-{name}" in ret:
            shape[name] = ret.pop(f"x-{name}")
    return _or_null(shape) if field.allow_none else shape


def _strict(converter: Any, field: Strict) -> Json:
    if isinstance(field, Upload):
        binary: Json = {"type": "string", "format": "binary"}
        shape = binary if field.most == 1 else {"type": "array", "items": binary, "maxItems": field.most}
    elif isinstance(field, Object) and field.inner is not None:
        shape = dict(converter.resolve_nested_schema(field.inner))
    elif isinstance(field, MapOf):
        shape = {"type": "object", "additionalProperties": _strict(converter, field.kind)}
    elif isinstance(field, ListOf):
        shape = _any_of([{"type": "array", "items": _strict(converter, kind)} for kind in field.kinds])
    elif isinstance(field, OneOf):
        shape = _any_of([_strict(converter, kind) for kind in field.kinds])
    else:
        shape = {"type": field.json_type} if field.json_type else {}
    return {**shape, **field.metadata}


def _fill(shape: Json) -> None:
    """What an operation or a feature requires must not be empty either."""
    for kind in shape.get("anyOf", [shape]):
        if kind.get("type") in _LEAST:
            kind[_LEAST[kind["type"]]] = 1


def _any_of(shapes: list[Json]) -> Json:
    if len(shapes) == 1:
        return shapes[0]
    flat: list[Json] = []
    for shape in shapes:
        flat.extend(shape["anyOf"] if set(shape) == {"anyOf"} else [shape])
    return {"anyOf": flat}


def _or_null(shape: Json) -> Json:
    """The shape, or null."""
    about = {key: shape[key] for key in ("description",) if key in shape}
    if "anyOf" in shape:
        if {"type": "null"} not in shape["anyOf"]:
            shape["anyOf"].append({"type": "null"})
    elif "$ref" in shape:
        return {"anyOf": [{"$ref": shape["$ref"]}, {"type": "null"}], **about}
    else:
        shape["type"] = [shape["type"], "null"]
        if "enum" in shape:
            shape["enum"] = [*shape["enum"], None]
    return shape

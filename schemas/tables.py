"""From a dataclass of settings to the marshmallow schema of its TOML table."""

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from marshmallow import Schema, ValidationError, post_load, validate
from marshmallow import fields as mf


class _Strict(mf.Field[Any]):
    """A value of exactly these Python types; TOML has told them apart already."""

    def __init__(self, noun: str, *accepted: type, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._noun, self._accepted = noun, accepted

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if type(value) not in self._accepted or (isinstance(value, float) and not math.isfinite(value)):
            raise ValidationError(f"expected {self._noun}, got {value!r}.")
        return value


class _Word(_Strict):
    """One of an enumeration's words; `true` and `false` may stand without quotes."""

    def __init__(self, enum: type[StrEnum], **kwargs: Any) -> None:
        super().__init__(f"one of {', '.join(repr(str(word)) for word in enum)}", str, **kwargs)
        self._enum = enum

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if type(value) is bool:
            value = str(value).lower()
        try:
            return self._enum(value)
        except ValueError:
            raise ValidationError(f"expected {self._noun}, got {value!r}.") from None


class _Several(mf.List[Any]):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(value, attr, data, **kwargs))


@cache
def schema_of(cls: Any) -> Schema:
    """The schema whose `load` makes an instance of the dataclass `cls`."""
    hints = get_type_hints(cls)
    declared: dict[str, Any] = {}
    for f in fields(cls):
        required = f.default is MISSING and f.default_factory is MISSING
        declared[f.name] = _field(hints[f.name], f.metadata, required=required)

    def make(self: Schema, data: dict[str, Any], **kwargs: Any) -> Any:
        return cls(**data)

    schema: Schema = type(cls.__name__, (Schema,), {**declared, "make": post_load(make)})()
    return schema


def _field(hint: Any, metadata: Mapping[str, Any], **kwargs: Any) -> mf.Field[Any]:
    if {"min", "max"} & metadata.keys():
        kwargs["validate"] = validate.Range(min=metadata.get("min"), max=metadata.get("max"))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (a for a in arguments if a is not type(None))
        return _field(inner, metadata, required=kwargs["required"], allow_none=True)
    if origin is tuple:
        return _Several(_field(arguments[0], {}), **kwargs)
    if origin in (dict, Mapping):
        return mf.Dict(keys=_Strict("a string", str), values=_field(arguments[1], {}), **kwargs)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Word(hint, **kwargs)
    if is_dataclass(hint):
        return mf.Nested(schema_of(hint), **kwargs)  # type: ignore[arg-type]
    if hint is float:
        return _Strict("a number", int, float, **kwargs)
    noun = {str: "a string", int: "an integer", bool: "true or false"}[hint]
    return _Strict(noun, hint, **kwargs)

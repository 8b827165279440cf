"""From a dataclass of settings to the marshmallow schema of its TOML table."""

import difflib
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from marshmallow import Schema, ValidationError, post_load, pre_load, validate
from marshmallow import fields as mf

_AMOUNT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?(e-?[0-9]{1,2})?")


class Exactly(mf.Field[Any]):
    """A value of exactly these Python types; TOML has told them apart already."""

    def __init__(self, noun: str, *accepted: type, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._noun, self.accepted = noun, accepted

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if type(value) not in self.accepted or (isinstance(value, float) and not math.isfinite(value)):
            raise ValidationError(f"expected {self._noun}, got {value!r}.")
        return value


class _Word(Exactly):
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


class _Amount(mf.Field[Decimal]):
    """A decimal number, exactly as it is written; also as a string."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        # Of a float, the digits that were written.
        text = value if isinstance(value, str) else repr(value)
        if isinstance(value, bool) or not _AMOUNT.fullmatch(text):
            raise ValidationError(f"expected a decimal number, got {value!r}.")
        return Decimal(text)


class _Several(mf.List[Any]):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(value, attr, data, **kwargs))


class _Named(mf.Dict):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        except ValidationError as error:
            if not isinstance(error.messages, Mapping):
                raise
            # marshmallow tells apart what is wrong with a key and with its value.
            found = {name: next(iter(wrong.values())) for name, wrong in error.messages.items()}
            raise ValidationError(found) from None


@cache
def schema_of(cls: Any) -> Schema:
    """The schema whose `load` makes an instance of the dataclass `cls`."""
    hints = get_type_hints(cls)
    declared: dict[str, Any] = {}
    for f in fields(cls):
        required = f.default is MISSING and f.default_factory is MISSING
        declared[f.name] = _field(hints[f.name], f.metadata, required=required)

    def check(self: Schema, data: Any, **kwargs: Any) -> Any:
        given = data if isinstance(data, Mapping) else ()
        if unknown := {name: [f"unknown; {meant(name, declared)}"] for name in given if name not in declared}:
            raise ValidationError(unknown)
        return data

    def make(self: Schema, data: dict[str, Any], **kwargs: Any) -> Any:
        return cls(**data)

    schema: Schema = type(cls.__name__, (Schema,), {**declared, "check": pre_load(check), "make": post_load(make)})()
    return schema


def meant(name: str, known: Iterable[str]) -> str:
    """A hint for whoever wrote a name that is not known."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def faults(messages: object, path: str = "") -> Iterable[tuple[str, str]]:
    """What a `ValidationError` says: the path to each field at fault, and what is wrong with it."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            # "_schema" is the table itself.
            yield from faults(inner, path if key == "_schema" else f"{path}.{key}" if path else str(key))
    elif isinstance(messages, list):
        yield path, " ".join(map(str, messages))


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
        return _Named(keys=Exactly("a string", str), values=_field(arguments[1], {}), **kwargs)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Word(hint, **kwargs)
    if is_dataclass(hint):
        return mf.Nested(schema_of(hint), **kwargs)  # type: ignore[arg-type]
    if hint is Decimal:
        return _Amount(**kwargs)
    if hint is float:
        return Exactly("a number", int, float, **kwargs)
    noun = {str: "a string", int: "an integer", bool: "true or false"}[hint]
    return Exactly(noun, hint, **kwargs)

"""From the text fields of a form to what a JSON body would have said."""

import re
from collections.abc import Iterable
from typing import Any

from ..engine.errors import InvalidRequest
from .fields import Flag, Integer, ListOf, Number, Strict, shown
from .requests import FormRequest

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})(e[+-]?[0-9]{1,2})?", re.ASCII | re.IGNORECASE)
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def body_of(schema: FormRequest, texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The body that the fields of a form say, in their order. A field counts once, the first time, unless it is a list;
    one that says nothing is absent, and one that is not known is a string. `name[]` is an item of the list `name`.

    Raises `InvalidRequest` for a text that is not of its field's type.
    """
    body: dict[str, Any] = {}
    for given, text in texts:
        name = given.removesuffix("[]")
        field = schema.load_fields.get(name)
        if not text or name in schema.files:
            continue
        if isinstance(field, ListOf):
            body.setdefault(name, []).append(_value(field.kinds[0], name, text))
        elif field is None and name != given:
            items = body.setdefault(name, [])
            if isinstance(items, list):
                items.append(text)
        else:
            body.setdefault(name, text if field is None else _value(field, name, text))
    return body


def _value(field: Any, name: str, text: str) -> Any:
    value: Any = text
    if isinstance(field, Integer):
        value = int(text) if _INTEGER.fullmatch(text) else None
    elif isinstance(field, Number):
        value = float(text) if _NUMBER.fullmatch(text) else None
    elif isinstance(field, Flag):
        value = _FLAGS.get(text.lower())
    if value is None:
        raise _refusal(field, name, text)
    return value


def _refusal(field: Strict, name: str, text: str) -> InvalidRequest:
    return InvalidRequest(f"invalid {name} value: expected {field.expected}, got {shown(text)}", param=name)

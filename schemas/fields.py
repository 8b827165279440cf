"""Strict fields: what a request may hold, declared once for the documents and checked as flat as it can be.

They are marshmallow's fields and schemas, and its own `load` gives the same verdict. `Shape.check` is the quick way
to it: it looks at what was sent, not at all that could have been, and copies nothing.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, cast

from marshmallow import INCLUDE, Schema, ValidationError, fields

from .faults import Verbatim

#: Looks deeper into a value whose own type is right; raises `ValidationError`.
Check = Callable[[Any], None]

#: Whole objects, by title.
Examples = Mapping[str, Mapping[str, Any]]

#: How many items of a list are seen at one glance: one that is wrong makes only so many be looked at singly.
_GLANCE = 1024

#: A client's value can be of any length; an answer need not be.
_LONGEST_VALUE = 40

_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a floating-point number",
    bool: "a boolean",
    type(None): "null",
}


def _only(*types: type) -> Mapping[type, None]:
    return dict.fromkeys(types)


def named(value: object) -> str:
    """What a JSON value is, as a noun for a sentence."""
    return _NAMES.get(type(value), type(value).__name__)


def shown(value: str) -> str:
    """A client's value as an answer repeats it."""
    return repr(value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…")


def _or(nouns: Iterable[str]) -> str:
    *rest, last = nouns
    return f"{', '.join(rest)} or {last}" if rest else last


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is None:
        return f"of at most {maximum}"
    return f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"


class Strict(fields.Field[Any]):
    """A field that takes the JSON types it names and no others: `true` is not a number, `"5"` and `5.0` are not
    integers. An optional field takes null as well, which says nothing.

    `enum`, `minimum`, `maximum` and `pattern`, which is searched for and whose `form` is a noun for what has it, narrow
    what it takes; `known` are values that are usual where providers have others too. `required` may be the literal text
    for a client who left the field out, `refusal` the one for a value that is not taken.
    """

    #: The field's type in JSON Schema, where it has exactly one.
    json_type: ClassVar[str | None] = None
    #: What it takes, as a noun for a sentence.
    expected: str
    #: The same in the plural.
    plural: str
    #: By exact type: None if the type is all there is to see.
    checks: Mapping[type, Check | None]

    def __init__(
        self,
        about: str | None = None,
        *,
        required: bool | str = False,
        enum: Sequence[str] | None = None,
        known: Sequence[str] | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        pattern: str | None = None,
        form: str = "",
        refusal: str | None = None,
    ) -> None:
        published = {"description": about, "enum": enum, "examples": known, "minimum": minimum, "maximum": maximum}
        published["pattern"] = pattern
        missing = required if isinstance(required, str) else f"expected {self.expected}, but it is missing"
        super().__init__(
            required=bool(required),
            allow_none=not required,
            metadata={name: value for name, value in published.items() if value is not None},
            error_messages={"required": missing},
        )
        self._refusal = refusal
        if enum is not None:
            self._words = frozenset(enum)
            self._taken = _or(map(repr, enum))
            self.checks = dict.fromkeys(self.checks, self._check_word)
        elif minimum is not None or maximum is not None:
            self._least = -math.inf if minimum is None else minimum
            self._most = math.inf if maximum is None else maximum
            self._taken = f"{self.expected} {_range(minimum, maximum)}"
            self.checks = dict.fromkeys(self.checks, self._check_range)
        elif pattern is not None:
            # In JSON Schema `$` is the end of the text, not also before a line's end there.
            self._found, self._taken = re.compile(pattern.replace("$", r"\Z")).search, form
            self.checks = dict.fromkeys(self.checks, self._check_pattern)

    def check(self, value: Any) -> None:
        try:
            deeper = self.checks[type(value)]
        except KeyError:
            raise ValidationError(f"expected {self.expected}, got {named(value)}") from None
        if deeper is not None:
            deeper(value)

    def _check_word(self, value: str) -> None:
        if value not in self._words:
            self._refuse(shown(value))

    def _check_range(self, value: float) -> None:
        if not self._least <= value <= self._most:
            self._refuse(repr(value))

    def _check_pattern(self, value: str) -> None:
        if not self._found(value):
            self._refuse(shown(value))

    def _refuse(self, value: str) -> None:
        if self._refusal is not None:
            raise ValidationError(Verbatim(self._refusal))
        raise ValidationError(f"expected {self._taken}, got {value}")

    def flat(self, values: Sequence[Any]) -> bool:
        """Whether all values are seen to be right at one glance; False says nothing about them."""
        checks = self.checks
        return all(type_ in checks and checks[type_] is None for type_ in set(map(type, values)))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> Any:
        self.check(value)
        return value


class Text(Strict):
    json_type = "string"
    expected, plural = "a string", "strings"
    checks = _only(str)


class Integer(Strict):
    json_type = "integer"
    expected, plural = "an integer", "integers"
    checks = _only(int)


class Number(Strict):
    json_type = "number"
    expected, plural = "a number", "numbers"
    checks = _only(int, float)


class Flag(Strict):
    json_type = "boolean"
    expected, plural = "true or false", "booleans"
    checks = _only(bool)


class Null(Strict):
    """For a choice that has null as a value of its own."""

    json_type = "null"
    expected, plural = "null", "nulls"
    checks = _only(type(None))


class Object(Strict):
    """An object, of the shape `inner` where that is known."""

    json_type = "object"
    expected, plural = "an object", "objects"

    def __init__(self, inner: "type[Shape] | None" = None, about: str | None = None, **options: Any) -> None:
        super().__init__(about, **options)
        self.inner = inner() if inner else None
        self.checks = {dict: self.inner.check if self.inner else None}


class MapOf(Strict):
    """An object with keys of the client's choice."""

    json_type = "object"

    def __init__(self, kind: Strict, about: str | None = None, **options: Any) -> None:
        self.expected, self.plural = f"an object of {kind.plural}", f"objects of {kind.plural}"
        super().__init__(about, **options)
        self.kind = kind
        self.checks = {dict: self._check_values}

    def _check_values(self, values: dict[str, Any]) -> None:
        if not self.kind.flat(list(values.values())):
            _check_each(self.kind, values.items())


class ListOf(Strict):
    """A list of any length whose items are all of one of the `kinds`, the kind of the first."""

    json_type = "array"

    def __init__(self, *kinds: Strict, of: str | None = None, about: str | None = None, **options: Any) -> None:
        self.kinds = kinds
        self._either = kinds[0] if len(kinds) == 1 else OneOf(*kinds)
        of = of or self._either.plural
        self.expected, self.plural = f"a list of {of}", f"lists of {of}"
        super().__init__(about, **options)
        self.checks = {list: self._check_items}

    def flat(self, values: Sequence[Any]) -> bool:
        if not set(map(type, values)) <= {list}:
            return False
        items = list(chain.from_iterable(values))
        return any(kind.flat(items) for kind in self.kinds)

    def _check_items(self, items: list[Any]) -> None:
        if not items:
            return
        first = type(items[0])
        kind = next((kind for kind in self.kinds if first in kind.checks), self._either)
        for start in range(0, len(items), _GLANCE):
            some = items[start : start + _GLANCE]
            if not kind.flat(some):
                _check_each(kind, enumerate(some, start))


class OneOf(Strict):
    """A choice of kinds, told apart by their types."""

    def __init__(self, *kinds: Strict, about: str | None = None, **options: Any) -> None:
        self.kinds = kinds
        self.expected = _or(kind.expected for kind in kinds)
        self.plural = _or(kind.plural for kind in kinds)
        super().__init__(about, **options)
        self.checks = {type_: check for kind in kinds for type_, check in kind.checks.items()}

    def flat(self, values: Sequence[Any]) -> bool:
        return any(kind.flat(values) for kind in self.kinds)


class Shape(Schema):
    """An object with known keys; unknown keys are kept, at every level."""

    class Meta:
        unknown = INCLUDE

    #: For the documents.
    examples: ClassVar[Examples] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        known = {field.data_key or name: cast("Strict", field) for name, field in self.load_fields.items()}
        self._checks: dict[str, Check] = {key: field.check for key, field in known.items()}
        #: The keys that must be there, in order, each with the text for a client who left it out.
        self.required = {key: str(field.error_messages["required"]) for key, field in known.items() if field.required}

    def check(self, sent: dict[str, Any]) -> None:
        """Raises `ValidationError` for the first key that is wrong or missing."""
        self.check_types(sent)
        for key, missing in self.required.items():
            if sent.get(key) is None:
                raise ValidationError({key: [missing]})

    def check_types(self, sent: Mapping[str, Any]) -> None:
        """Raises `ValidationError` for the first key whose value is wrong; what is absent or null is no matter."""
        checks = self._checks
        for key, value in sent.items():
            if value is not None and key in checks:
                try:
                    checks[key](value)
                except ValidationError as error:
                    raise ValidationError({key: error.messages}) from None


def _check_each(kind: Strict, items: Iterable[tuple[int | str, Any]]) -> None:
    for place, item in items:
        try:
            kind.check(item)
        except ValidationError as error:
            raise ValidationError({place: error.messages}) from None

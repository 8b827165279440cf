"""What a schema finds wrong, as refusals say it."""

from typing import Any

from marshmallow import ValidationError

#: A client's keys can be of any length; an answer need not be.
_LONGEST_KEY = 40


class Verbatim(str):
    """All that a client is told, where a dialect has the words: nothing says where the fault is."""

    __slots__ = ()


def first(error: ValidationError) -> tuple[str, str]:
    """Where the first fault is, as `messages[1].content`, and what it is."""
    found: Any = error.messages
    path = ""
    while isinstance(found, dict):
        key, found = next(iter(found.items()))
        path += f"[{key}]" if isinstance(key, int) else f".{key[:_LONGEST_KEY]}"
    return path.removeprefix("."), found[0]

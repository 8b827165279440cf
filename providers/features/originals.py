"""What a vendor answered, as a client may see it: its JSON, without the files in it."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import orjson

from ...engine.blobs import Blob

#: What is longer and looks like base64 is a file.
_LONGEST_WORD = 4096
_BASE64 = re.compile(r"(data:[^,]{0,300},)?[A-Za-z0-9+/_=\r\n-]+", re.ASCII)


def original(answer: bytes, files: Sequence[Blob]) -> bytes:
    """The answer with null in the place of each file; null if it is no JSON. `files` are those of the result."""
    try:
        said = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return b"null"
    return orjson.dumps(_without(said, {file.placeholder for file in files}))


def _without(value: Any, placeholders: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, placeholders) for key, item in value.items()}
    if isinstance(value, list):
        # A vector is long, and holds no files.
        return [_without(item, placeholders) if isinstance(item, str | dict | list) else item for item in value]
    if isinstance(value, str) and (value in placeholders or _is_base64(value)):
        return None
    return value


def _is_base64(text: str) -> bool:
    return len(text) > _LONGEST_WORD and _BASE64.fullmatch(text) is not None

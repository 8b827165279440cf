"""Ids that nobody can guess, of jobs and files."""

import os
import re

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def new_id() -> str:
    """A random UUID, version 4; a third of the time that `str(uuid.uuid4())` takes, twice in each submit."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def is_id(text: str) -> bool:
    """Whether the text could be one of these."""
    return _ID.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID, of any version, in either case."""
    return _UUID.fullmatch(text) is not None

"""Media types of files, by the ends of their names, and the other way round."""

import re

OCTETS = "application/octet-stream"

_VALID = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}", re.ASCII)

#: The same with parameters, as `audio/pcm; rate=24000`.
_HEADER = re.compile(
    rf"({_VALID.pattern})(;[ \t]*[a-z0-9_.-]{{1,60}}=[a-z0-9_.+-]{{1,60}}){{0,8}}", re.ASCII | re.IGNORECASE
)

#: The first end of a type is the one that a file is given.
_TYPES = {
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "mpga": "audio/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/opus",
    "pcm": "audio/pcm",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "webm": "video/webm",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "heic": "image/heic",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "json": "application/json",
    "txt": "text/plain",
}

_ENDS = {type: end for end, type in reversed(_TYPES.items())} | {
    "audio/mp3": "mp3",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/l16": "pcm",
    "audio/x-flac": "flac",
    "image/jpg": "jpg",
}


def of(said: str | None, file_name: str) -> str:
    """The type that a client said, without parameters; where it said none, the one that the name suggests."""
    given = (said or "").partition(";")[0].strip().lower()
    if given != OCTETS and _VALID.fullmatch(given):
        return given
    return _TYPES.get(file_name.rpartition(".")[2].lower(), OCTETS)


def header(media_type: str) -> str:
    """The type as an answer can say it: it may come from a provider."""
    return media_type if _HEADER.fullmatch(media_type) else OCTETS


def end(media_type: str) -> str:
    """The end for the name of a file of that type."""
    return _ENDS.get(media_type.partition(";")[0].strip().lower(), "bin")

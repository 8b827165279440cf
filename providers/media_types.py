"""Media types of sound and of images that come without one."""

_SOUNDS = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "ogg": "audio/ogg",
    "mulaw": "audio/basic",
}
_IMAGE_BEGINNINGS = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"<svg", "image/svg+xml"),
)


def sound_type(response_format: str | None) -> str:
    """Of a speech that was asked for in that format; None is MP3's."""
    return _SOUNDS.get(response_format or "mp3", "application/octet-stream")


def image_type(beginning: bytes) -> str | None:
    """By the first bytes, six or more; None: not known."""
    return next((kind for magic, kind in _IMAGE_BEGINNINGS if beginning.startswith(magic)), None)

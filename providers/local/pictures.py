"""Pictures as files and as pixels: what a worker takes in, within bounds, and how it renders what it made."""

import io
import re
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from PIL import Image, ImageOps

from ...engine.errors import CallFailed
from ..refusals import refusal
from ..workers.task import Task

#: A picture may be small as a file and huge when it is opened.
_MAX_PIXELS = 50_000_000
#: Formats whose readers are Pillow's own and start no other program.
_READABLE = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_MIN_SIDE, _MAX_SIDE = 64, 2048
_MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
#: The second one is JPEG's highest useful quality: what 100 per cent means for OpenAI.
_MOST_PICTURES, _BEST_QUALITY = 10, 95


def opened(source: Path | BinaryIO, param: str) -> Image.Image:
    """The picture as RGB, upright, on white where it is transparent. Raises `CallFailed`."""
    image = with_alpha(source, param)
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def with_alpha(source: Path | BinaryIO, param: str) -> Image.Image:
    """The picture as RGBA, upright. Raises `CallFailed`."""
    try:
        with Image.open(source, formats=_READABLE) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise _too_large(param)
            return ImageOps.exif_transpose(image).convert("RGBA")
    except Image.DecompressionBombError as error:
        raise _too_large(param) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        raise refusal(
            "The file cannot be read as a picture: it takes PNG, JPEG, WebP, GIF, BMP and TIFF.", param, "invalid_file"
        ) from error


def _too_large(param: str) -> CallFailed:
    return refusal(f"A picture has at most {_MAX_PIXELS // 1_000_000} million pixels.", param, "invalid_file")


def size_asked(request: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height; None where the client leaves them to us."""
    asked = request.get("size") or "auto"
    if asked == "auto":
        return None
    if not (found := _SIZE.fullmatch(asked)):
        raise refusal("size is WIDTHxHEIGHT, or auto.", "size", "invalid_value")
    width, height = int(found[1]), int(found[2])
    if not (min(width, height) >= _MIN_SIDE and max(width, height) <= _MAX_SIDE):
        raise refusal(f"The sides of a picture have from {_MIN_SIDE} to {_MAX_SIDE} pixels.", "size", "invalid_value")
    return width, height


def count_asked(request: dict[str, Any]) -> int:
    count: int = request.get("n") or 1
    if count > _MOST_PICTURES:
        raise refusal(f"n is at most {_MOST_PICTURES}.", "n", "invalid_value")
    return count


class Gallery:
    """The pictures of one call: each is kept as it comes, and then `result` names them."""

    def __init__(self, model: str, request: dict[str, Any], task: Task) -> None:
        self._model = model
        self._task = task
        self._format: str = request.get("output_format") or "png"
        if self._format not in _MEDIA_TYPES:
            raise refusal(f"output_format is one of {', '.join(_MEDIA_TYPES)}.", "output_format", "invalid_value")
        compression = request.get("output_compression")
        self._quality = min(100 if compression is None else compression, _BEST_QUALITY)
        if request.get("background") == "transparent":
            raise refusal("Local pictures are opaque.", "background")
        self._size = (0, 0)
        self._data: list[dict[str, Any]] = []

    def hang(self, image: Image.Image, said: str, **more: Any) -> None:
        """`said`: what the picture is, for `revised_prompt`; `more` of the same picture goes beside it."""
        file = io.BytesIO()
        options = {"compress_level": 6} if self._format == "png" else {"quality": self._quality}
        image.save(file, self._format, **options)
        file.seek(0)
        self._size = image.size
        placeholder = self._task.keep(_MEDIA_TYPES[self._format], file)
        self._data.append({"b64_json": placeholder, "index": len(self._data), "revised_prompt": said, **more})

    def result(self, seeds: Iterable[int] = ()) -> bytes:
        width, height = self._size
        return orjson.dumps(
            {
                "created": int(time.time()),
                "model": self._model,
                "data": self._data,
                "background": "opaque",
                "output_format": self._format,
                "size": f"{width}x{height}",
                **({"seeds": list(seeds)} if seeds else {}),
            }
        )

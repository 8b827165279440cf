"""What a client asks of images: made from words, edited, varied."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ..engine.errors import InvalidRequest
from .fields import Examples, Integer, ListOf, Text
from .requests import FormRequest, Streamable, StreamableRequest, Upload

#: Images of one request.
_MOST_IMAGES = 16

_QUALITIES = ("auto", "high", "medium", "low", "hd", "standard")
_EDITS = (
    "inpainting",
    "outpainting",
    "background_removal",
    "remove_background",
    "erase_object",
    "recolor",
    "search_replace",
    "control_sketch",
    "control_structure",
    "style_guide",
    "style_transfer",
    "upscale_fast",
    "upscale_creative",
    "upscale_conservative",
)


def _count() -> Integer:
    return Integer("How many images to make.", minimum=1, maximum=10)


def _size(*known: str) -> Text:
    return Text("Width and height in pixels. Models have sizes of their own.", known=("auto", *known))


def _response_format() -> Text:
    return Text("Whether the images come along, or where they can be had.", enum=("url", "b64_json"))


def _background() -> Text:
    return Text(enum=("transparent", "opaque", "auto"))


def _output_format() -> Text:
    return Text("The form of the images.", enum=("png", "webp", "jpeg"))


class ImageGenerationRequest(StreamableRequest):
    prompt = Text("What is to be seen.", required="prompt cannot be empty")
    n = _count()
    size = _size("256x256", "512x512", "1024x1024", "1792x1024", "1024x1792", "1536x1024", "1024x1536")
    quality = Text(enum=_QUALITIES)
    style = Text(enum=("natural", "vivid"))
    response_format = _response_format()
    background = _background()
    moderation = Text(enum=("low", "auto"))
    partial_images = Integer(minimum=0, maximum=3)
    output_compression = Integer("In percent, for webp and jpeg.", minimum=0, maximum=100)
    output_format = _output_format()
    user = Text()
    seed = Integer()
    negative_prompt = Text("What is not to be seen.")
    num_inference_steps = Integer()
    input_images = ListOf(Text(), about="Images to go by, in base64 or as addresses.")
    aspect_ratio = Text("As `16:9`, for models that go by it.")

    examples: ClassVar[Examples] = {
        "A picture": {"model": "echo/echo", "prompt": "A red fox in the snow"},
        "Two of a size": {"model": "echo/echo", "prompt": "A red fox in the snow", "n": 2, "size": "256x256"},
    }


class ImageEditRequest(FormRequest, Streamable):
    image = Upload("What is to be edited.", most=_MOST_IMAGES, required="at least one image is required")
    mask = Upload("Where it is to be edited: where this image is transparent.")
    prompt = Text("What is to be seen. May be absent where a `type` needs no words.")
    type = Text("What is to be done, for models that are told by a word.", enum=_EDITS)
    n = _count()
    size = _size("256x256", "512x512", "1024x1024", "1536x1024", "1024x1536")
    response_format = _response_format()
    background = _background()
    input_fidelity = Text("How closely the edit keeps to the image.", enum=("low", "high"))
    partial_images = Integer(minimum=0, maximum=3)
    quality = Text(enum=_QUALITIES)
    output_format = _output_format()
    output_compression = Integer("In percent, for webp and jpeg.", minimum=0, maximum=100)
    num_inference_steps = Integer()
    seed = Integer()
    negative_prompt = Text("What is not to be seen.")
    user = Text()

    examples: ClassVar[Examples] = {
        "An edit": {"model": "echo/echo", "image": ["…"], "prompt": "Let it snow"},
        "Within a mask": {"model": "echo/echo", "image": ["…", "…"], "mask": "…", "prompt": "Let it snow", "n": 2},
    }

    def demand(self, body: Mapping[str, Any]) -> None:
        if not body.get("prompt") and not body.get("type"):
            raise InvalidRequest("prompt is required for image edits without a type", param="prompt")


class ImageVariationRequest(FormRequest):
    image = Upload("What is to be varied.", most=_MOST_IMAGES, required="at least one image is required")
    n = _count()
    size = _size("256x256", "512x512", "1024x1024", "1792x1024", "1024x1792", "1536x1024", "1024x1536")
    response_format = _response_format()
    user = Text()

    examples: ClassVar[Examples] = {
        "A variation": {"model": "echo/echo", "image": ["…"]},
        "Three, with a fallback": {
            "model": "echo/status-400",
            "fallbacks": ["echo/echo"],
            "image": ["…"],
            "n": 3,
        },
    }

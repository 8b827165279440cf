"""Features of images."""

from collections.abc import Mapping
from typing import ClassVar

from ..fields import Examples, Integer, ListOf, Object, Shape, Text
from .inputs import FileInput, Input, text

IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff")
#: Images of one request.
_MOST_IMAGES = 16


class GenerationInput(Input):
    needs: ClassVar[Mapping[str, str]] = {"mask": "reference_images"}

    text = text("What is to be seen.")
    resolution = Text(
        "Width and height in pixels. Models have sizes of their own.",
        known=("512x512", "1024x1024"),
        pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$",
        form="WIDTHxHEIGHT",
    )
    num_images = Integer("How many images to make.", minimum=1, maximum=10)
    reference_images = FileInput("Images to begin from.", media_types=IMAGES, most=_MOST_IMAGES)
    mask = FileInput("Where the first of them is to be changed: where this image is transparent.", media_types=IMAGES)

    examples: ClassVar[Examples] = {"A picture": {"text": "mountains at dusk", "resolution": "512x512"}}


class GeneratedImage(Shape):
    image = Text("In base64; null where the provider gives its address alone.")
    image_resource_url = Text("Where it can be had as a file.", required=True)


class GenerationOutput(Shape):
    items = ListOf(Object(GeneratedImage), of="images", required=True)

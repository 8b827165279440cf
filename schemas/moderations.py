"""What a client asks of moderations."""

from typing import ClassVar

from .fields import Examples, ListOf, Object, OneOf, Shape, Text
from .requests import Request


class ImageUrl(Shape):
    url = Text("An address, or the image itself as a data URL.", required=True)


class Part(Shape):
    type = Text(required=True, enum=("text", "image_url"))
    text = Text()
    image_url = Object(ImageUrl)


class ModerationRequest(Request):
    solid: ClassVar[tuple[str, ...]] = ()

    # OpenAI's own clients may leave it out.
    model = Text("The model, as `provider/model`; by default that of the first provider that has one for this.")
    input = OneOf(
        Text(),
        ListOf(Text(), Object(Part), of="strings or of typed parts"),
        about="One text, a list of texts, each to be judged by itself, or the parts of one input, texts and images.",
        required="input is required for moderations",
    )

    examples: ClassVar[Examples] = {
        "A text": {"model": "echo/echo", "input": "Your coat is ready."},
        "Several texts": {"model": "echo/echo", "input": ["Your coat is ready.", "Somebody was hurt."]},
    }

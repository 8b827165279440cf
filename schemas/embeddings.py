"""What a client asks of embeddings."""

from typing import ClassVar

from .fields import Examples, Flag, Integer, ListOf, Number, Object, OneOf, Shape, Text
from .requests import Request


class MediaSource(Shape):
    data = Text("The content in base64.")
    url = Text()
    mime_type = Text()
    filename = Text()


class VideoConfig(Shape):
    start_offset_sec = Number()
    end_offset_sec = Number()
    interval_sec = Number()


class InputPart(Shape):
    type = Text(enum=("text", "image", "audio", "file", "video", "tokens"))
    text = Text()
    image = Object(MediaSource)
    audio = Object(MediaSource)
    file = Object(MediaSource)
    video = Object(MediaSource)
    video_config = Object(VideoConfig)
    tokens = ListOf(Integer())


class InputItem(Shape):
    content = ListOf(Object(InputPart), of="typed parts")
    params = Object()


class EmbeddingRequest(Request):
    input = OneOf(
        Text(),
        ListOf(
            Text(),
            Integer(),
            OneOf(ListOf(Integer(), Object(InputPart), of="integers or typed parts"), Object(InputItem)),
            of="strings, of integers, of lists of integers or of typed parts",
        ),
        about="One text, a list of texts, one text as a list of tokens, a list of those, or items of typed parts.",
        required="input is required for embeddings",
    )
    encoding_format = Text(enum=("float", "base64", "int8", "uint8", "binary", "ubinary"))
    dimensions = Integer("The length of the vectors, where the model lets it be chosen.", minimum=1)
    task_type = Text("What the vectors are for, where the model distinguishes it.")
    title = Text("The title of the document that the input is taken from.")
    auto_truncate = Flag("Whether the provider may cut an input that is too long.")

    examples: ClassVar[Examples] = {
        "A text": {"model": "echo/echo", "input": "The quick brown fox"},
        "Several texts": {"model": "echo/echo", "input": ["one", "two", "three"], "encoding_format": "float"},
    }

"""What a client asks of transcriptions."""

from typing import ClassVar

from .fields import Examples, ListOf, Number, Text
from .requests import FormRequest, Streamable, Upload


class TranscriptionRequest(FormRequest, Streamable):
    file = Upload("The recording.", required="file is required")
    language = Text("The language that is spoken, as `en`.")
    prompt = Text("A text in the style of what is spoken, or what precedes it.")
    response_format = Text(
        "The form of the transcript. Whatever it is, the text is in `text`.",
        enum=("json", "text", "srt", "verbose_json", "vtt", "diarized_json"),
    )
    file_format = Text("The form of the recording, where its name does not say.")
    temperature = Number(minimum=0, maximum=2)
    timestamp_granularities = ListOf(
        Text(enum=("word", "segment")), about="What is to be timed, with `verbose_json`; the field may be repeated."
    )
    include = ListOf(Text(known=("logprobs",)), about="What the answer is to hold beside; the field may be repeated.")

    examples: ClassVar[Examples] = {
        "A recording": {"model": "echo/echo", "file": "…"},
        "With times": {
            "model": "echo/echo",
            "file": "…",
            "language": "en",
            "response_format": "verbose_json",
            "timestamp_granularities": ["word", "segment"],
        },
    }

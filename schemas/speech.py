"""What a client asks of speech."""

from typing import Any, ClassVar

from .fields import Examples, Flag, Integer, ListOf, Number, Object, OneOf, Shape, Text
from .requests import Request


class Speaker(Shape):
    speaker = Text("The name that the input calls the speaker by.", required=True)
    voice = Text(required=True)


class PronunciationDictionary(Shape):
    pronunciation_dictionary_id = Text(required=True)
    version_id = Text()


class SpeechRequest(Request):
    streams: ClassVar[bool] = True

    input = Text("What is to be said.", required="input is required for speech completion")
    voice = OneOf(
        Text(),
        ListOf(Object(Speaker), of="speakers"),
        about="Who says it: a voice of the model's, or one for each speaker of a dialogue.",
        required="voice is required for speech completion",
    )
    instructions = Text("How it is to be said, where the model can be told.")
    response_format = Text("The form of the audio.", enum=("mp3", "opus", "aac", "flac", "wav", "pcm", "ogg", "mulaw"))
    speed = Number("How fast it is said; 1 is as the voice does.", minimum=0.25, maximum=4)
    language_code = Text("The language of the input, as `en`.")
    pronunciation_dictionary_locators = ListOf(Object(PronunciationDictionary), of="dictionaries")
    enable_logging = Flag()
    optimize_streaming_latency = Flag()
    with_timestamps = Flag("Whether to tell when each character is said, where the provider can.")
    sample_rate = Integer("Samples a second, where the provider lets them be chosen.", minimum=1)
    stream_format = Text("Jobs are not streamed: `sse` is refused.")

    examples: ClassVar[Examples] = {
        "A sentence": {"model": "echo/echo", "input": "The quick brown fox.", "voice": "alloy"},
        "A dialogue": {
            "model": "echo/echo",
            "input": "Ann: Hello. Bob: Hello.",
            "voice": [{"speaker": "Ann", "voice": "alloy"}, {"speaker": "Bob", "voice": "onyx"}],
            "response_format": "wav",
            "speed": 1.2,
        },
    }

    def streamed(self, body: dict[str, Any]) -> str | None:
        super().streamed(body)
        return "stream_format" if body.get("stream_format") == "sse" else None

"""Features of sound."""

from typing import ClassVar

from ..fields import Examples, Flag, Integer, ListOf, Number, Object, Shape, Text
from .inputs import FileInput, Input, text

RECORDINGS = ("audio/*", "video/*", "application/ogg")


class SpeechToTextInput(Input):
    file = FileInput("The recording.", media_types=RECORDINGS, required="file is required")
    language = Text("The language that is spoken, as `en`.")
    speakers = Integer("How many speak, for providers that tell them apart; others pass it over.", minimum=1)
    profanity_filter = Flag("Whether to mask profanity. Providers that cannot refuse.")
    vocabulary = ListOf(Text(), about="Words that are likely, as names.")

    examples: ClassVar[Examples] = {"A recording": {"file": "https://example.com/ticket.mp3", "language": "en"}}


class Utterance(Shape):
    segment = Text("What is said.", required=True)
    start_time = Text("In seconds.")
    end_time = Text("In seconds.")
    speaker = Integer("From 1, in the order in which they are first heard.")
    confidence = Number("From 0 to 1.", minimum=0, maximum=1)


class Diarization(Shape):
    total_speakers = Integer("0 where the provider does not tell them apart.", required=True)
    entries = ListOf(Object(Utterance), about="In the order in which they are said.", required=True)
    error_message = Text("Why the speakers are not told apart.")


class SpeechToTextOutput(Shape):
    text = Text(required=True)
    diarization = Object(Diarization, "Who says what, and when.", required=True)


class SpeechInput(Input):
    text = text("What is to be said.")
    voice = Text("Who says it: a voice of the provider's. Without one it is the provider's usual one.")
    speed = Number("How fast it is said; 1 is as the voice does.", minimum=0.25, maximum=4)
    audio_format = Text("The form of the audio.", enum=("mp3", "opus", "aac", "flac", "wav", "pcm", "ogg", "mulaw"))
    speaking_pitch = Integer("Providers that cannot refuse all but 0.", minimum=-100, maximum=100)
    speaking_volume = Integer("Providers that cannot refuse all but 0.", minimum=-100, maximum=100)

    examples: ClassVar[Examples] = {"A sentence": {"text": "Your coat is ready.", "audio_format": "mp3"}}


class SpeechOutput(Shape):
    audio = Text("In base64.", required=True)
    voice_type = Text("The voice.", required=True)
    audio_resource_url = Text("Where it can be had as a file, as long as the job is there.", required=True)

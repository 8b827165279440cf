"""What a client asks of text completions."""

from typing import ClassVar

from .fields import Examples, Flag, Integer, ListOf, MapOf, Number, OneOf, Text
from .requests import StreamableRequest


class TextCompletionRequest(StreamableRequest):
    prompt = OneOf(
        Text(),
        ListOf(Text()),
        about="The text to continue, or several.",
        required="prompt is required for text completion",
    )
    best_of = Integer("How many texts to make for the best one to be taken.", minimum=0)
    echo = Flag("Whether the answer begins with the prompt.")
    frequency_penalty = Number(minimum=-2, maximum=2)
    presence_penalty = Number(minimum=-2, maximum=2)
    logit_bias = MapOf(Number(), "By token id: how much likelier the token becomes.")
    logprobs = Integer("How many of the likeliest tokens to report at each place.", minimum=0)
    max_tokens = Integer("How many tokens the answer may have.")
    n = Integer("How many answers to make.", minimum=1)
    seed = Integer()
    stop = OneOf(Text(), ListOf(Text()), about="Where the answer ends: the text itself is left out.")
    suffix = Text("The text that follows the answer.")
    temperature = Number(minimum=0, maximum=2)
    top_p = Number(minimum=0, maximum=1)
    user = Text()

    examples: ClassVar[Examples] = {
        "A text to continue": {"model": "echo/echo", "prompt": "Once upon a time", "max_tokens": 40},
        "Several, with a fallback": {"model": "echo/status-400", "fallbacks": ["echo/echo"], "prompt": ["One", "Two"]},
    }

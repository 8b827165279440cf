"""Features of texts."""

from typing import ClassVar

from ..fields import Examples, Integer, ListOf, Number, Object, Shape, Text
from .inputs import Input, text


class EmbeddingsInput(Input):
    texts = ListOf(text(), about="The texts.", required="texts is required")
    dimensions = Integer("The length of the vectors, where the model lets it be chosen.", minimum=1)

    examples: ClassVar[Examples] = {"Two texts": {"texts": ["a coat", "a ticket"]}}


class Embedding(Shape):
    embedding = ListOf(Number(), about="The vector.", required=True)


class EmbeddingsOutput(Shape):
    items = ListOf(Object(Embedding), about="One for each text, in their order.", required=True)


class LanguageDetectionInput(Input):
    text = text("The text whose language is asked for.")

    examples: ClassVar[Examples] = {"A sentence": {"text": "Le manteau est prêt."}}


class Language(Shape):
    language = Text("ISO 639-1 where it has a code there, else ISO 639-3.", required=True)
    display_name = Text("What it is called in English.", required=True)
    confidence = Number("From 0 to 1.", minimum=0, maximum=1)


class LanguageDetectionOutput(Shape):
    items = ListOf(Object(Language), about="The likeliest first; none for a text without letters.", required=True)


class ModerationInput(Input):
    text = text("The text that is judged.")
    language = Text("Its language, as `en`.")

    examples: ClassVar[Examples] = {"A sentence": {"text": "Somebody was hurt."}}


class Harm(Shape):
    label = Text("What the provider calls it.", required=True)
    likelihood = Integer("From 1 to 5, fifths of the score.", minimum=1, maximum=5, required=True)
    likelihood_score = Number(minimum=0, maximum=1, required=True)
    category = Text(required=True)
    subcategory = Text(required=True)


class ModerationOutput(Shape):
    nsfw_likelihood = Integer("The highest of the items.", minimum=0, maximum=5, required=True)
    nsfw_likelihood_score = Number("The highest of the items.", minimum=0, maximum=1, required=True)
    items = ListOf(Object(Harm), about="The likeliest first.", required=True)

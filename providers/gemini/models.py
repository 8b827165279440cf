"""What a Gemini model's name tells: which generation of the API it follows, and what it is for."""

import re

_VERSION = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?!\d)", re.ASCII)


def version(model: str) -> tuple[int, int]:
    """Of a name without one, as gemini-flash-latest, it is the latest."""
    if (found := _VERSION.search(model)) is None:
        return (99, 0)
    return (int(found[1]), int(found[2] or 0))


def thinks_in_levels(model: str) -> bool:
    """Those before took budgets of tokens, and their thoughts had no signatures that must come back."""
    return version(model) >= (3, 0)


def least_level(model: str) -> str:
    """The level at which the model thinks least (https://ai.google.dev/gemini-api/docs/thinking): all know LOW, the
    small and the earlier ones one below it."""
    return "MINIMAL" if "flash-lite" in model or ("flash" in model and version(model) < (3, 6)) else "LOW"


def least_budget(model: str) -> int:
    """Of those before: 2.5 Pro cannot be kept from thinking."""
    return 128 if "2.5-pro" in model else 0


def speaks_by_turns(model: str) -> bool:
    """Whether speech is asked for part by part, with a speaker and a style for each."""
    return version(model) >= (3, 8)


def operations(name: str, methods: list[str]) -> tuple[str, ...]:
    """What a model is for, by its name and the methods that the vendor lists."""
    if "embedContent" in methods:
        return ("embeddings",)
    if "generateContent" not in methods:
        return ()
    if "tts" in name:
        return ("audio/speech",)
    pictures = ("images/generations", "images/edits") if "image" in name else ()
    return ("chat/completions", "responses", *pictures)

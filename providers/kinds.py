"""The kinds of providers, by the word that a `[providers.NAME]` table names them with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.calls import Provider
from .echo import EchoOptions, EchoProvider
from .local import LocalOptions, LocalProvider
from .openai import OpenAIOptions, OpenAIProvider


@dataclass(frozen=True)
class Kind:
    #: The dataclass of its options.
    options: type
    #: Makes a provider from its name and its options; raises `ValueError` if they cannot be used.
    make: Callable[[str, Any], Provider]


KINDS: Mapping[str, Kind] = {
    "echo": Kind(EchoOptions, EchoProvider),
    "local": Kind(LocalOptions, LocalProvider),
    "openai": Kind(OpenAIOptions, OpenAIProvider),
}

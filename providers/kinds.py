"""The kinds of providers, by the word that a `[providers.NAME]` table names them with."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..engine.calls import Provider
from .presets import PRESETS, Preset


@dataclass(frozen=True)
class Kind:
    """Its module is imported when it is asked for: there are many kinds, and a server has a few of them."""

    #: The folder; its module `provider` has the classes `…Options` and `…Provider`.
    folder: str
    #: What the names of these two begin with.
    prefix: str
    #: Of a server that speaks OpenAI's API.
    preset: Preset | None = None
    module: str = "provider"

    @property
    def options(self) -> type[Any]:
        """The dataclass of its options."""
        return self._class("Options")

    def make(self, name: str, options: Any) -> Provider:
        """A provider of that name; raises `ValueError` if the options cannot be used."""
        given = {"preset": self.preset} if self.preset else {}
        made: Provider = self._class("Provider")(name, options, **given)
        return made

    def _class(self, end: str) -> type[Any]:
        found: type[Any] = getattr(import_module(f".{self.folder}.{self.module}", __package__), f"{self.prefix}{end}")
        return found


KINDS: Mapping[str, Kind] = {
    "anthropic": Kind("anthropic", "Anthropic"),
    "assemblyai": Kind("assemblyai", "AssemblyAI"),
    "echo": Kind("echo", "Echo"),
    "gemini": Kind("gemini", "Gemini"),
    "litellm": Kind("litellm", "LiteLLM"),
    "local": Kind("local", "Local"),
    **{name: Kind("openai", "OpenAI", preset) for name, preset in PRESETS.items()},
    "azure": Kind("openai", "Azure", PRESETS["azure"], "azure"),
    "replicate": Kind("replicate", "Replicate"),
}

"""The vendors' published prices, from the data that the library `genai-prices` carries. Nothing is fetched."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from genai_prices import types
from genai_prices.data import providers as _VENDORS

from ..engine.calls import Call, Rate, Usage
from .prices import UNSPOKEN

#: What the table prices, and what of a usage says how much of it there was.
_COUNTS = {
    "input_mtok": "input_tokens",
    "output_mtok": "output_tokens",
    "cache_read_mtok": "cached_input_tokens",
    "cache_write_mtok": "cache_write_tokens",
    "cache_write_1h_mtok": "long_cache_write_tokens",
    "input_audio_mtok": "audio_input_tokens",
    "output_audio_mtok": "audio_output_tokens",
    "input_image_mtok": "image_input_tokens",
    "output_image_mtok": "image_output_tokens",
    "input_mchars": "characters",
    "audio_hours": "seconds",
    "input_audio_hours": "seconds",
    "input_document_kpages": "pages",
    "web_searches_kcount": "searches",
    "rerank_searches_kcount": "searches",
}
#: What its prices are of, by the last word of their names.
_UNITS = {
    "mtok": (1_000_000, "token"),
    "mchars": (1_000_000, "char"),
    "hours": (3600, "second"),
    "kpages": (1000, "page"),
    "kcount": (1000, "request"),
}
#: What no usage tells, and few calls use: counted as not used.
_UNTOLD = {
    "cache_audio_read_mtok",
    "cache_image_read_mtok",
    "code_executions_kcount",
    "input_annotated_document_kpages",
    "input_video_mtok",
    "social_searches_kcount",
    "storage_searches_kcount",
}
#: What must be told where it is priced, by the beginnings of the operations' names.
_NEEDED = {
    "input_tokens": ("",),
    "output_tokens": ("chat", "completions", "responses", "audio", "images", "ocr"),
    "audio_input_tokens": ("audio/transcriptions",),
    "audio_output_tokens": ("audio/speech",),
    "image_input_tokens": ("images/edits", "images/variations"),
    "image_output_tokens": ("images",),
    "characters": ("",),
    "seconds": ("audio",),
    "pages": ("",),
    "searches": ("rerank",),
}
#: The names of the plain rate, at various vendors.
_PLAIN = {"auto", "default", "on_demand", "standard"}
#: The beginnings of the types of tools that a vendor runs, and charges for beside the tokens.
_CHARGED_TOOLS = ("web_search", "google_", "file_search", "code_interpreter", "code_execution", "image_generation")
#: What of an `ocr` request makes its pages dearer.
_ANNOTATIONS = ("bbox_annotation_format", "document_annotation_format")


@dataclass(frozen=True)
class Priced:
    """A model that the table has."""

    vendor: types.Provider
    model: types.ModelInfo

    def cost(self, call: Call, usage: Usage) -> Fraction | None:
        """In dollars, at today's price; None if the table does not price all that was used, or if not all that it
        prices was told."""
        now = datetime.now(UTC)
        rate = self._rate(call, usage, now)
        if rate is None:
            return None
        priced = {key: price for key, price in vars(self.model.get_prices(now, rate)).items() if price is not None}
        if not _covers(priced, call, usage) or self._searched(call, usage):
            return None
        counts = {key: value for key, value in _counts(call, usage).items() if value is not None}
        try:
            calculated = self.model.calc_price(
                types.Usage(**counts), self.vendor, genai_request_timestamp=now, price_context=rate
            )
        except ValueError:
            # Counts that contradict each other, or that leave open at which price a part of them is.
            return None
        return Fraction(calculated.total_price)

    def rates(self) -> Mapping[str, Rate] | None:
        """What is charged at the plain rate today, by what is counted; None if a price depends on how much it is of."""
        said = vars(self.model.get_prices(datetime.now(UTC), {}))
        priced = {key: price for key, price in said.items() if price is not None}
        found = {}
        for key, price in priced.items():
            if not isinstance(price, Decimal) or (unit := _UNITS.get(key.rpartition("_")[2])) is None:
                return None
            if price:
                found[_COUNTS.get(key, key)] = Rate(price, *unit)
        return found if priced else None

    def _searched(self, call: Call, usage: Usage) -> bool:
        """Whether tools may have been used, besides the tokens, that cost nobody knows how much."""
        tools = call.request.get("tools")
        kinds = [str(tool.get("type")) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
        charged = [kind for kind in kinds if kind.startswith(_CHARGED_TOOLS)]
        searching = usage.searches or "web_search_options" in call.request
        if self.vendor.id == "google":
            # Of its searches, so many a day or a month are free.
            return bool(charged or searching)
        if usage.searches is not None:
            return not all(kind.startswith("web_search") for kind in charged)
        # Some models search unasked.
        return bool(charged or searching) or "search" in self.model.id

    def _rate(self, call: Call, usage: Usage, now: datetime) -> Mapping[str, str] | None:
        """What selects the price for the rate that was charged: nothing selects the plain one. None: not known."""
        asked = call.request.get("service_tier")
        tier = usage.tier or (asked if isinstance(asked, str) else None) or "default"
        if tier in _PLAIN:
            return {}
        if usage.tier is not None and self.model in self.vendor.models:
            for name in ("service_tier", "speed"):
                for variant in self.model.price_variants or ():
                    if variant.when == {name: tier} and (not variant.constraint or variant.constraint.active(now)):
                        return {name: tier}
        return None


class PriceTable:
    def __init__(self) -> None:
        # The library imports its parts when they are first needed: here, where nobody waits for it.
        types.ModelPrice(input_mtok=Decimal(0)).calc_price(types.Usage(input_tokens=0))
        # Names are what clients make up.
        self.find = lru_cache(maxsize=4096)(self._find)

    def _find(self, vendor: str | None, base_url: str | None, name: str) -> Priced | None:
        """The model of this name; of the vendor, or where that is None of the one whose API has this address."""
        for known in _VENDORS:
            if known.id == vendor if vendor is not None else re.match(known.api_pattern, base_url or ""):
                model = known.find_model(name, all_providers=_VENDORS)
                return None if model is None else Priced(known, model)
        return None


def _covers(priced: Mapping[str, Any], call: Call, usage: Usage) -> bool:
    """Whether this usage can be charged by these prices."""
    operation = call.operation
    for key, price in priced.items():
        count = _COUNTS.get(key)
        if count is None and key not in _UNTOLD and price != Decimal(0):
            return False
        if count is not None and operation.startswith(_NEEDED.get(count, ())) and getattr(usage, count) is None:
            return False
    if operation == "ocr" and any(call.request.get(name) for name in _ANNOTATIONS):
        return False
    # The plain price of a token holds for those that are not priced by themselves. Not so where the table has gaps:
    # where a model also hears, speaks or draws, besides its trade.
    by_tokens = "input_mtok" in priced
    return not (
        not any(count in _COUNTS for count in priced)
        or (usage.output_tokens and by_tokens and "output_mtok" not in priced and operation not in UNSPOKEN)
        or (usage.audio_input_tokens and "input_audio_mtok" not in priced and operation != "audio/transcriptions")
        or (usage.audio_output_tokens and "output_audio_mtok" not in priced and operation != "audio/speech")
        or (usage.image_output_tokens and "output_image_mtok" not in priced and not operation.startswith("images/"))
        or (usage.images and not priced.keys() & {"input_image_mtok", "output_image_mtok"})
        or (usage.searches and _searches(operation) not in priced)
    )


def _searches(operation: str) -> str:
    return "rerank_searches_kcount" if operation == "rerank" else "web_searches_kcount"


def _counts(call: Call, usage: Usage) -> dict[str, Any]:
    """The usage as the library names it."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.long_cache_write_tokens,
        "input_audio_tokens": usage.audio_input_tokens,
        "output_audio_tokens": usage.audio_output_tokens,
        "input_image_tokens": usage.image_input_tokens,
        "output_image_tokens": usage.image_output_tokens,
        "input_characters": usage.characters,
        "audio_seconds": usage.seconds,
        # Those that are heard; of spoken ones only the sum is priced.
        "input_audio_seconds": None if call.operation == "audio/speech" else usage.seconds,
        "input_document_pages": usage.pages,
        "rerank_searches" if call.operation == "rerank" else "web_searches": usage.searches,
    }

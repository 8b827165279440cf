"""What calls cost: by the prices that the configuration gives, else by a table of the vendors' published ones.

Costs are integer picodollars (1e-12 USD): worked out exactly and rounded once, to the nearest, halves to the even one.
What cannot be known is None, never a guess.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TYPE_CHECKING

from ..engine.calls import Call, Rate, Reply, Usage
from .presets import PRESETS

if TYPE_CHECKING:
    from .price_table import PriceTable

log = logging.getLogger(__name__)

#: The kinds whose calls nobody charges for: they run on machines of one's own.
FREE = frozenset({"echo", "local", *(name for name, preset in PRESETS.items() if preset.self_hosted)})
#: The kinds whose vendor the table has, by its name there. Of a server of kind "openai" its address is looked up.
VENDORS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "cerebras": "cerebras",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "xai": "x-ai",
}

_PICODOLLARS = 10**12
_MILLION = 10**6
#: A price and what it is of; None: unknown.
_Part = tuple[Decimal | None, int | None]

#: SQLite's largest integer: what would cost more is an error of the prices.
_MOST = 2**63 - 1
#: Operations whose answers have no tokens of their own.
UNSPOKEN = ("embeddings", "rerank", "moderations")

#: What the configuration's prices are of.
_UNITS: Mapping[str, tuple[int, str]] = {
    "input_tokens": (_MILLION, "token"),
    "cached_input_tokens": (_MILLION, "token"),
    "cache_write_tokens": (_MILLION, "token"),
    "audio_input_tokens": (_MILLION, "token"),
    "image_input_tokens": (_MILLION, "token"),
    "output_tokens": (_MILLION, "token"),
    "audio_output_tokens": (_MILLION, "token"),
    "image_output_tokens": (_MILLION, "token"),
    "characters": (_MILLION, "char"),
    "minutes": (1, "minute"),
    "images": (1, "image"),
    "pages": (1, "page"),
    "searches": (1, "request"),
    "requests": (1, "request"),
}

_PRICE = {"min": Decimal(0), "max": Decimal(_MILLION)}


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model costs, in US dollars; what is not named costs nothing, except for parts of what is."""

    #: Of a million tokens. Of the parts, None: as all input tokens, as all output tokens.
    input_tokens: Decimal | None = field(default=None, metadata=_PRICE)
    cached_input_tokens: Decimal | None = field(default=None, metadata=_PRICE)
    cache_write_tokens: Decimal | None = field(default=None, metadata=_PRICE)
    audio_input_tokens: Decimal | None = field(default=None, metadata=_PRICE)
    image_input_tokens: Decimal | None = field(default=None, metadata=_PRICE)
    output_tokens: Decimal | None = field(default=None, metadata=_PRICE)
    audio_output_tokens: Decimal | None = field(default=None, metadata=_PRICE)
    image_output_tokens: Decimal | None = field(default=None, metadata=_PRICE)
    #: Of a million characters that are spoken.
    characters: Decimal | None = field(default=None, metadata=_PRICE)
    #: Of a minute of audio.
    minutes: Decimal | None = field(default=None, metadata=_PRICE)
    #: Of each.
    images: Decimal | None = field(default=None, metadata=_PRICE)
    pages: Decimal | None = field(default=None, metadata=_PRICE)
    searches: Decimal | None = field(default=None, metadata=_PRICE)
    #: Of each call, whatever it used.
    requests: Decimal | None = field(default=None, metadata=_PRICE)

    def of(self, operation: str, usage: Usage) -> int | None:
        """What this usage costs; None if the provider did not tell enough of it, or contradicts itself."""
        total = _sum(
            _tokens(
                self.input_tokens,
                usage.input_tokens,
                cache=(
                    (self.cached_input_tokens, usage.cached_input_tokens),
                    (self.cache_write_tokens, usage.cache_write_tokens),
                ),
                modalities=(
                    (self.audio_input_tokens, usage.audio_input_tokens),
                    (self.image_input_tokens, usage.image_input_tokens),
                ),
            ),
            _tokens(
                self.output_tokens,
                usage.output_tokens or 0 if operation in UNSPOKEN else usage.output_tokens,
                modalities=(
                    (self.audio_output_tokens, usage.audio_output_tokens),
                    (self.image_output_tokens, usage.image_output_tokens),
                ),
            ),
            _each(self.characters, usage.characters, _MILLION),
            _each(self.minutes, usage.seconds, 60),
            _each(self.images, usage.images),
            _each(self.pages, usage.pages),
            # That a model may search does not mean that it did; to rank is to search.
            _each(self.searches, usage.searches if operation == "rerank" else usage.searches or 0),
            _each(self.requests, 1),
        )
        return None if total is None else picodollars(total)

    def rates(self) -> Mapping[str, Rate]:
        """What is charged, by what is counted."""
        found = {name: getattr(self, name) for name in _UNITS}
        return {name: Rate(price, *_UNITS[name]) for name, price in found.items() if price}


def picodollars(dollars: Fraction) -> int | None:
    """As an integer, to the nearest, halves to the even one; None if it cannot be a cost."""
    cost = round(dollars * _PICODOLLARS)
    return cost if 0 <= cost <= _MOST else None


def _each(price: Decimal | None, count: float | None, per: int = 1) -> Fraction | None:
    """None if there is a price and no count."""
    if not price:
        return Fraction(0)
    if count is None or count < 0:
        return None
    # The decimal digits that the provider sent, not the binary number next to them.
    return Fraction(price) * Fraction(repr(count)) / per


def _tokens(
    price: Decimal | None, count: int | None, *, cache: Sequence[_Part] = (), modalities: Sequence[_Part]
) -> Fraction | None:
    """The cost of `count` tokens, of which some have a price of their own: those from or for a cache, those that are
    not text."""
    cached, other = (
        [(theirs, tokens) for theirs, tokens in parts if theirs is not None and tokens] for parts in (cache, modalities)
    )
    if cached and other:
        # How much of a cache is text is not told.
        return None
    own = cached + other
    rest = None if count is None else count - sum(tokens for _, tokens in own)
    return _sum(_each(price, rest, _MILLION), *(_each(theirs, tokens, _MILLION) for theirs, tokens in own))


def _sum(*costs: Fraction | None) -> Fraction | None:
    """None if one of them is."""
    known = [cost for cost in costs if cost is not None]
    return sum(known, Fraction(0)) if len(known) == len(costs) else None


@dataclass(frozen=True, kw_only=True)
class Seller:
    """Whose prices hold for a provider."""

    #: Of its `[providers.NAME]` table.
    kind: str
    #: Where it is, if it is somewhere.
    base_url: str | None = None
    #: The configuration's own prices, by a model's name or a pattern of names ("*").
    prices: Mapping[str, Price] = field(default_factory=dict)

    def price(self, *models: str | None) -> Price | None:
        """The configuration's price for a model of these names: one by name stands above a pattern, of patterns the
        first that fits."""
        names = [model for model in models if model]
        for name in names:
            if name in self.prices:
                return self.prices[name]
        for pattern, price in self.prices.items():
            if any(fnmatchcase(name, pattern) for name in names):
                return price
        return None


class Prices:
    def __init__(self, sellers: Mapping[str, Seller]) -> None:
        """`sellers` by the names of the providers."""
        self._sellers = sellers
        self._loading = asyncio.Lock()
        self._table: PriceTable | None = None

    async def of(self, provider: str, call: Call, reply: Reply) -> int | None:
        """What the call has cost, as far as it can be known from what the reply says was used. What the provider
        itself said of the cost stands above this."""
        seller = self._sellers.get(provider)
        if seller is None:
            return None
        usage = reply.usage or Usage()
        price = seller.price(call.model, reply.model)
        if price is not None:
            return price.of(call.operation, usage)
        if seller.kind in FREE:
            return 0
        if reply.usage is None or (seller.kind != "openai" and seller.kind not in VENDORS):
            return None
        table = self._table or await self._load()
        # An alias or a deployment is named by the client; what it stands for, by the reply.
        for model in dict.fromkeys(name for name in (reply.model, call.model) if name):
            priced = table.find(VENDORS.get(seller.kind), seller.base_url, model)
            if priced is not None:
                dollars = priced.cost(call, usage)
                return None if dollars is None else picodollars(dollars)
        return None

    async def rates(self, provider: str, model: str) -> Mapping[str, Rate] | None:
        """What the model costs there, as it is published: empty where nothing is charged, None where that is not known
        or not said in one number for each thing that is counted."""
        seller = self._sellers.get(provider)
        if seller is None:
            return None
        if (price := seller.price(model)) is not None:
            return price.rates()
        if seller.kind in FREE:
            return {}
        if seller.kind != "openai" and seller.kind not in VENDORS:
            return None
        table = self._table or await self._load()
        priced = table.find(VENDORS.get(seller.kind), seller.base_url, model)
        return None if priced is None else priced.rates()

    async def _load(self) -> "PriceTable":
        async with self._loading:
            if self._table is None:
                # Its import takes a quarter of a second, and 30 MB: not of who never needs it, and not of the loop.
                self._table = await asyncio.to_thread(_table)
            return self._table


def _table() -> "PriceTable":
    from .price_table import PriceTable

    return PriceTable()

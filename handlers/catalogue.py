"""What models there are: asked of all providers at once, and remembered for a while."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from ..engine.calls import Offer, Provider
from ..engine.errors import CallFailed
from ..schemas.operations import OPERATIONS

log = logging.getLogger(__name__)

#: The longest that one provider is waited for.
_PATIENCE_SECONDS = 5.0
#: How long an answer counts, and how long it does that there was none.
_KEPT_SECONDS, _MISSED_SECONDS = 300.0, 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A model that jobs can name."""

    provider: str
    offer: Offer
    #: Those it can be asked for.
    operations: tuple[str, ...]
    #: Other names that mean it.
    aliases: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.offer.id}"


class Catalogue:
    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._shelves = {name: _Shelf(name, provider) for name, provider in providers.items()}
        self._offers: dict[str, Sequence[Offer]] = {}
        #: What was made of them.
        self._made: dict[Hashable, bytes] = {}

    async def entries(self) -> list[Entry]:
        """Every model, provider by provider; of a provider that does not answer, those that it declares."""
        found = (self._entry(name, offer) for name, offers in (await self.offers()).items() for offer in offers)
        return [entry for entry in found if entry.operations]

    async def find(self, name: str) -> Entry | None:
        """The model of that name; None if there is none."""
        return next((entry for entry in await self.entries() if name in (entry.id, *entry.aliases)), None)

    async def able(self, feature: str, operations: Collection[str]) -> list[tuple[str, str]]:
        """The providers and models that can be asked for the feature, which these operations may stand in for.

        Of each provider its default comes first. Where it does not say what its models are for, and has a default, that
        is all.
        """
        found = []
        for name, offers in (await self.offers()).items():
            provider = self._providers[name]
            default = provider.default(feature)
            known = [o.id for o in offers if feature in o.operations or not set(operations).isdisjoint(o.operations)]
            unsaid = [offer.id for offer in offers if not offer.operations]
            models = [*known, *unsaid] if default is None else [default, *known]
            found += [(name, model) for model in dict.fromkeys(models) if provider.check(feature, model) is None]
        return found

    async def offers(self) -> Mapping[str, Sequence[Offer]]:
        """What each provider has, by its name."""
        offered = await asyncio.gather(*(shelf.offers() for shelf in self._shelves.values()))
        if any(self._offers.get(name) is not offers for name, offers in zip(self._shelves, offered, strict=True)):
            self._offers, self._made = dict(zip(self._shelves, offered, strict=True)), {}
        return self._offers

    async def once(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `make` makes of the offers, made again when they have been asked for again: of routes that are open to
        everyone. There are few keys."""
        await self.offers()
        made = self._made
        if key not in made:
            made[key] = await make()
        return made[key]

    def _entry(self, name: str, offer: Offer) -> Entry:
        provider = self._providers[name]
        able = tuple(o for o in offer.operations or OPERATIONS if provider.check(o, offer.id) is None)
        return Entry(provider=name, offer=offer, operations=able, aliases=self._aliases(offer.id))

    def _aliases(self, model: str) -> tuple[str, ...]:
        """The bare name, where it is clear what it means: see `targets.resolve`."""
        prefix, slash, _ = model.partition("/")
        declared = [name for name, provider in self._providers.items() if model in provider.models]
        return (model,) if len(declared) == 1 and not (slash and prefix in self._providers) else ()


class _Shelf:
    """One provider's models."""

    def __init__(self, name: str, provider: Provider) -> None:
        self._name = name
        self._provider = provider
        self._offers: Sequence[Offer] = ()
        self._until = 0.0
        #: Who comes while it is asked waits for the answer, and does not ask again.
        self._asking = asyncio.Lock()

    async def offers(self) -> Sequence[Offer]:
        async with self._asking:
            if time.monotonic() >= self._until:
                self._offers, seconds = await self._ask()
                self._until = time.monotonic() + seconds
            return self._offers

    async def _ask(self) -> tuple[Sequence[Offer], float]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                offers = await self._provider.offers()
                return list({offer.id: offer for offer in offers}.values()), _KEPT_SECONDS
        except (CallFailed, TimeoutError) as error:
            log.info("provider %s did not say which models it has: %s", self._name, error)
            return [Offer(id=model) for model in self._provider.models], _MISSED_SECONDS

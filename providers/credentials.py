"""The keys of one provider: which is used for a call, and which rest because the vendor refused or limited them.

Each call takes one of the keys that do not rest, by weight. If all rest, the first to be done is tried all the same:
one that was limited before one that was refused. So a single key is always tried, and a vendor that has forgiven is
noticed.
"""

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

#: How long a key rests that was limited, where the vendor does not say.
LIMITED_SECONDS = 30.0
#: How long one rests that was refused: the first time, and at most.
REFUSED_SECONDS = 300.0
MAX_REFUSED_SECONDS = 3600.0

#: What a key is refused with: not valid, no money left, not allowed to.
_REFUSED = frozenset({401, 402, 403})
_LIMITED = 429


@dataclass(eq=False, kw_only=True)
class Credential:
    """One key, and how it fares."""

    value: str
    weight: float = 1.0
    #: The only models it is for; empty: all.
    models: tuple[str, ...] = ()
    #: Until when it rests, by the boot clock.
    until: float = field(default=0.0, init=False)
    #: How often it was refused in a row.
    refusals: int = field(default=0, init=False)

    def serves(self, model: str) -> bool:
        return not model or not self.models or model in self.models


class Credentials:
    def __init__(
        self,
        credentials: Sequence[Credential],
        *,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._credentials = tuple(credentials)
        self._now = now
        self._chance = chance

    def serve(self, model: str) -> bool:
        """Whether there is a key for this model."""
        return any(credential.serves(model) for credential in self._credentials)

    def turn(self, model: str = "") -> Iterator[Credential]:
        """The keys to try for one call, each chosen when it is asked for: at least one, and after it those that do not
        rest. Without a model, any may do."""
        fit = [credential for credential in self._credentials if credential.serves(model)]
        if len(fit) == 1:
            yield fit[0]
            return
        tried: list[Credential] = []
        while ready := [each for each in fit if each not in tried and each.until <= self._now()]:
            tried.append(self._one_of(ready))
            yield tried[-1]
        if fit and not tried:
            yield min(fit, key=lambda each: (each.refusals > 0, each.until))

    def worked(self, credential: Credential) -> None:
        credential.until, credential.refusals = 0.0, 0

    def failed(self, credential: Credential, status: int, retry_after: float | None = None) -> bool:
        """Whether the status speaks of the key, so that another may do; then this one rests."""
        if status in _REFUSED:
            rest = min(REFUSED_SECONDS * 2.0 ** min(credential.refusals, 16), MAX_REFUSED_SECONDS)
            credential.refusals += 1
        elif status == _LIMITED:
            rest = LIMITED_SECONDS if retry_after is None else retry_after
        else:
            return False
        credential.until = self._now() + rest
        return True

    def soonest(self, model: str = "") -> float | None:
        """In how many seconds a key that was limited may be used again; None if there is no choice between keys."""
        fit = [credential for credential in self._credentials if credential.serves(model)]
        limited = [credential.until for credential in fit if not credential.refusals]
        return max(min(limited) - self._now(), 0.0) if len(fit) > 1 and limited else None

    def _one_of(self, ready: Collection[Credential]) -> Credential:
        point = self._chance() * sum(credential.weight for credential in ready)
        for credential in ready:
            point -= credential.weight
            if point < 0:
                return credential
        return credential

"""What the handlers work with: filled by `app.py` when the application starts."""

from asyncio import Semaphore
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from aiohttp import web

from ..engine.calls import Provider, Tariff, unlisted
from ..engine.clock import Clock
from ..engine.fetch import Fetch
from ..engine.keys import KeyRing
from ..engine.lag import Lag
from ..engine.links import Links
from ..engine.pool import Pool
from ..engine.rates import Rates
from ..engine.readiness import Readiness
from ..engine.signatures import EdenKey
from ..engine.store import Store
from ..schemas.config import Config
from .attendance import Attendance
from .catalogue import Catalogue

if TYPE_CHECKING:
    # Not imported where nobody needs it: its library takes a sixth of a start.
    from .tokens import Tokens


@dataclass(kw_only=True)
class Gateway:
    config: Config
    providers: Mapping[str, Provider]
    clock: Clock
    #: Keys of the configuration and of the database.
    keys: KeyRing = field(default_factory=KeyRing)
    #: Bearer tokens of an issuer; None: there is none.
    tokens: "Tokens | None" = None
    rates: Rates = field(init=False)
    #: Clients that wait on an open connection for a job of theirs.
    attendance: Attendance = field(default_factory=Attendance)
    catalogue: Catalogue = field(init=False)
    #: What models cost, for those who ask before they call.
    tariff: Tariff = unlisted
    store: Store = field(init=False)
    pool: Pool = field(init=False)
    #: Addresses of results' files.
    links: Links = field(init=False)
    #: Signs the v3 dialect's webhooks.
    webhook_key: EdenKey = field(init=False)
    #: For files at addresses that clients name; and the turns at it, by owner.
    fetch: Fetch = field(init=False)
    fetching: WeakValueDictionary[str, Semaphore] = field(default_factory=WeakValueDictionary)
    #: For receivers of webhooks.
    sending: Fetch = field(init=False)
    readiness: Readiness = field(init=False)
    lag: Lag = field(init=False)

    def __post_init__(self) -> None:
        self.rates = Rates(self.clock)
        self.catalogue = Catalogue(self.providers)


GATEWAY = web.AppKey("coatcheck", Gateway)

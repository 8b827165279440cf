"""What the handlers work with: filled by `app.py` when the application starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from ..engine.calls import Provider
from ..engine.clock import Clock
from ..engine.keys import KeyRing
from ..engine.pool import Pool
from ..engine.store import Store
from ..schemas.config import Config


@dataclass(kw_only=True)
class Gateway:
    config: Config
    providers: Mapping[str, Provider]
    clock: Clock
    #: Keys of the configuration and of the database.
    keys: KeyRing = field(default_factory=KeyRing)
    store: Store = field(init=False)
    pool: Pool = field(init=False)


GATEWAY = web.AppKey("coatcheck", Gateway)

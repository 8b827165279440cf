"""Introduces the parts to each other: `create_app` wires one gateway, `serve` runs it until a signal.

web.run_app(create_app())                              # the packaged config.toml
root.add_subapp("/ai", create_app({"providers": …}))   # inside another aiohttp application
"""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from coatcheck.engine.calls import Provider
from coatcheck.engine.clock import Clock
from coatcheck.engine.collector import Collector
from coatcheck.engine.errors import ConfigurationError
from coatcheck.engine.fetch import Fetch
from coatcheck.engine.keys import KeyRing
from coatcheck.engine.lag import Lag
from coatcheck.engine.links import Links
from coatcheck.engine.logs import configure
from coatcheck.engine.pool import Pool
from coatcheck.engine.readiness import Readiness
from coatcheck.engine.signatures import EdenKey
from coatcheck.engine.store import Store
from coatcheck.engine.sweeper import Sweeper
from coatcheck.engine.webhooks import Deliverer
from coatcheck.handlers.auth import guarded, is_loopback
from coatcheck.handlers.browsers import guard, host_rule
from coatcheck.handlers.errors import Unreadable, answered
from coatcheck.handlers.gateway import GATEWAY, Gateway
from coatcheck.handlers.routes import routes
from coatcheck.providers.features.provider import featured
from coatcheck.providers.kinds import KINDS
from coatcheck.providers.prices import Prices, Seller
from coatcheck.schemas import config as configuration
from coatcheck.schemas.config import AuthRequired, AuthSettings, Config
from coatcheck.schemas.config_keys import config_keys
from coatcheck.schemas.endpoints import endpoints
from coatcheck.schemas.webhooks import announce

if TYPE_CHECKING:
    from coatcheck.handlers.tokens import Tokens

log = logging.getLogger("coatcheck")

#: Connections that may wait to be accepted.
_BACKLOG = 1024

#: Complete and commented; used where no other file is named.
DEFAULT_CONFIG = Path(__file__).with_name("config.toml")


def load_config(source: Path | Mapping[str, Any] = DEFAULT_CONFIG, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration from a TOML file or a mapping of the same shape, with what the environment overrides.

    Raises `ConfigurationError`, which names the key at fault.
    """
    document = configuration.read(source) if isinstance(source, Path) else source
    return configuration.load(document, KINDS, environ)


def create_app(
    config: Config | Path | Mapping[str, Any] = DEFAULT_CONFIG, *, data: Path | None = None, clock: Clock | None = None
) -> web.Application:
    """An application with its own lifespan, to be run or to be mounted under a prefix of another.

    `data` is the folder for relative paths of the configuration; None: the working directory. Raises
    `ConfigurationError` here and, once keys are known, at start-up.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    clock = clock or Clock()
    gateway = Gateway(
        config=config, providers=make_providers(config), clock=clock, tokens=make_tokens(config.auth, clock, data)
    )
    app = web.Application(middlewares=[answered(guard(host_rule(config.server)))])
    gateway.webhook_key = EdenKey(database_path(config, data).with_name("webhook-key.pem"))
    app[GATEWAY] = gateway
    app.add_routes(routes())
    app.cleanup_ctx.append(_lifespan(database_path(config, data), blobs_path(config, data)))
    app.on_shutdown.append(_answer_waiters)
    return app


def make_providers(config: Config) -> dict[str, Provider]:
    providers = {}
    for name, settings in config.providers.items():
        try:
            providers[name] = featured(name, settings.kind, KINDS[settings.kind].make(name, settings.options))
        except ValueError as error:
            raise ConfigurationError(f"[providers.{name}]: {error}") from error
    return providers


def make_prices(config: Config) -> Prices:
    """What knows what calls cost."""
    sellers = {}
    for name, settings in config.providers.items():
        preset = KINDS[settings.kind].preset
        base_url = getattr(settings.options, "base_url", "") or (preset.base_url if preset else None)
        sellers[name] = Seller(kind=settings.kind, base_url=base_url, prices=settings.options.prices)
    return Prices(sellers)


def make_tokens(auth: AuthSettings, clock: Clock, data: Path | None = None) -> "Tokens | None":
    """What knows the tokens of `[auth.jwt]`; None without that table."""
    if auth.jwt is None:
        return None
    # Its library takes a sixth of a start.
    from coatcheck.handlers.tokens import Tokens

    return Tokens(auth.jwt, clock, folder=data or Path())


def database_path(config: Config, data: Path | None = None) -> Path:
    """The file that `[store] url` names."""
    scheme, _, path = config.store.url.partition(":///")
    if scheme != "sqlite" or not path:
        raise ConfigurationError(f"[store]: url {config.store.url!r} is not of the form sqlite:///PATH")
    return (data or Path()) / path


def blobs_path(config: Config, data: Path | None = None) -> Path:
    """The folder that `[store] blobs` names."""
    if "://" in config.store.blobs or not config.store.blobs:
        raise ConfigurationError(f"[store]: blobs {config.store.blobs!r} is not the path of a folder")
    return (data or Path()) / config.store.blobs


def _lifespan(path: Path, blobs: Path) -> Callable[[web.Application], AsyncIterator[None]]:
    async def lifespan(app: web.Application) -> AsyncIterator[None]:
        gateway = app[GATEWAY]
        config = gateway.config
        configured, receivers = config_keys(config), endpoints(config.webhooks, os.environ)
        async with AsyncExitStack() as stack:
            store = gateway.store = await Store.open(
                path, durability=config.store.durability, clock=gateway.clock, blobs=blobs
            )
            stack.push_async_callback(store.close)
            signing = await store.outbox.secret("links")
            gateway.links = Links(signing.secret, config.server.base_url)
            store.outbox.arrivals.announce = announce(config, gateway.links.of)
            subjects = (gateway.tokens.owners, gateway.tokens.limits) if gateway.tokens is not None else None
            gateway.keys = KeyRing([*configured, *await store.keys()], clock=gateway.clock, subjects=subjects)
            closed = guarded(gateway) or config.auth.required is not AuthRequired.AUTO
            if not closed and not is_loopback(config.server.host):
                raise ConfigurationError(
                    f"{config.server.host} can be reached from other machines and there is no key: make one with "
                    "`coatcheck keys add NAME --admin`, or set [auth] required = false"
                )
            if gateway.tokens is not None:
                await gateway.tokens.start()
                stack.push_async_callback(gateway.tokens.close)
            allow_private = config.webhooks.allow_private_networks
            gateway.fetch = Fetch(allow_private=allow_private)
            # Of its own: names that nobody answers for, in inputs or of dead receivers, hold up no receiver.
            gateway.sending = Fetch(allow_private=allow_private, names=2 * config.webhooks.concurrency)
            for fetch in (gateway.fetch, gateway.sending):
                await fetch.start()
                stack.push_async_callback(fetch.close)
            deliverer = Deliverer(
                store.outbox,
                gateway.sending,
                gateway.clock,
                store.meters,
                config.webhooks,
                endpoints=receivers,
                key=gateway.webhook_key,
            )
            # Before the pool, so that it ends after it: jobs that end while the server stops are told of.
            delivering = asyncio.create_task(deliverer.run(), name="coatcheck deliverer")
            stack.push_async_callback(_cancelled, delivering)
            for provider in gateway.providers.values():
                await provider.start()
                stack.push_async_callback(provider.close)
            prices = make_prices(config)
            gateway.tariff = prices.rates
            pool = gateway.pool = Pool(
                store,
                gateway.providers,
                config.jobs,
                clock=gateway.clock,
                limits=gateway.keys.limits,
                price=prices.of,
            )
            gateway.readiness, gateway.lag = Readiness(pool, store), Lag(store.meters)
            await pool.start()
            stack.push_async_callback(pool.drain, config.jobs.shutdown_grace_seconds)
            sweeper = Sweeper(store, config.jobs, gateway.clock, config.webhooks)
            collector = Collector(store, config.jobs)
            for name, loop in (
                ("sweeper", sweeper.run()),
                ("collector", collector.run()),
                ("lag", gateway.lag.watch()),
            ):
                stack.push_async_callback(_cancelled, asyncio.create_task(loop, name=f"coatcheck {name}"))
            yield

    return lifespan


async def _answer_waiters(app: web.Application) -> None:
    """Answers those who wait for a job or watch one: an HTTP server that stops would wait for them."""
    app[GATEWAY].pool.watchers.close()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def serve(config: Config, data: Path | None = None) -> None:
    """Serves until SIGTERM or SIGINT: then refuses new jobs, answers polls, and ends when running jobs have ended or
    the grace time is over. A second signal ends the grace time."""
    configure(config.server.log_format, config.server.log_level)
    logging.getLogger("aiohttp.server").addFilter(Unreadable())
    raise_descriptor_limit()
    app = create_app(config, data=data)
    # The address first: a server that cannot have it must not begin calls.
    listening = _listen(config.server.host, config.server.port)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        # Running jobs have had their grace time; a client that never ends its request is not waited for.
        shutdown_timeout=2.0,
        # Bodies are refused compressed: what is refused must not be inflated either.
        auto_decompress=False,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        await runner.setup()
        pool = app[GATEWAY].pool

        def on_signal() -> None:
            if stop.is_set():
                pool.hurry()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        await web.SockSite(runner, listening, backlog=_BACKLOG).start()
        _announce(app[GATEWAY], runner)
        # What is loaded stays, and of ten thousand jobs in flight little is garbage: look for it seldom.
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)
        await stop.wait()
        log.info("stopping: no new jobs are taken")
        await pool.drain(config.jobs.shutdown_grace_seconds)
    finally:
        await runner.cleanup()
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket at that address; raises `ConfigurationError` if it cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def _announce(gateway: Gateway, runner: web.AppRunner) -> None:
    host, port = runner.addresses[0][:2]
    auth = "a key is needed" if guarded(gateway) else "open: no key is needed"
    print(
        f"coatcheck listens on http://{f'[{host}]' if ':' in host else host}:{port} ({auth}; "
        f"providers: {', '.join(gateway.providers) or 'none'})",
        flush=True,
    )


def raise_descriptor_limit() -> None:
    """Every waiting client and every call in flight holds a descriptor; 1024, the usual limit, are few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    from coatcheck.cli import main

    sys.exit(main())

"""What `coatcheck check` looks at: the configuration, the database, the keys, the providers."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urlsplit

from coatcheck.app import config_keys, database_path
from coatcheck.engine.clock import Clock
from coatcheck.engine.errors import CallFailed, CoatcheckError, ConfigurationError, StoreLocked
from coatcheck.engine.jobs import SECOND
from coatcheck.engine.keys import Key
from coatcheck.engine.lock import OwnerLock
from coatcheck.engine.migrations import APPLICATION_ID, MIGRATIONS
from coatcheck.engine.store import Store
from coatcheck.handlers.auth import is_loopback
from coatcheck.providers.kinds import KINDS
from coatcheck.providers.openai import OpenAIOptions
from coatcheck.schemas.config import AuthRequired, Config, ProviderSettings

from .client import NotReached, Server
from .moments import lasted, moment, now
from .refusals import ServerRefused

#: A provider that has not answered by then is taken to be away.
_PING_SECONDS = 20.0
#: Keys that end sooner are named.
_SOON_SECONDS = 7 * 86_400


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    #: What was looked at: "configuration", "database", "keys", "provider NAME".
    subject: str
    level: Level = Level.OK
    message: str
    #: What to do about it.
    cure: str | None = None


@dataclass(frozen=True, kw_only=True)
class KeyFacts:
    name: str
    admin: bool
    #: Seconds until it ends; None: never.
    left_seconds: float | None = None


def configuration(config: Config, path: Path) -> list[Finding]:
    found = []
    if not config.providers:
        found.append(_warning("configuration", "there are no providers", "add a table [providers.NAME]"))
    if config.auth.required is AuthRequired.FALSE and not is_loopback(config.server.host):
        open_to = f"whoever reaches {config.server.host} may use this server"
        found.append(_warning("configuration", open_to, "set [auth] required to auto or true"))
    count = len(config.providers)
    said = f"{path} can be used; {count} provider{'' if count == 1 else 's'}"
    return [Finding(subject="configuration", message=said), *found]


def database(config: Config, data: Path | None, server: Server) -> tuple[list[Finding], list[KeyFacts] | None]:
    """What is found of the database, and the keys in it; None where these cannot be known."""
    path = database_path(config, data).resolve()
    if not path.exists():
        folder = next(parent for parent in path.parents if parent.exists())
        if os.access(folder, os.W_OK):
            return [Finding(subject="database", message=f"{path} is not there yet; the first start makes it")], []
        return [_failed("database", f"{folder} cannot be written", "choose a folder with --data, or its owner")], None
    try:
        lock = OwnerLock(path)
    except StoreLocked as error:
        return _of_running(server, error)
    except OSError as error:
        return [
            _failed("database", f"{path} cannot be opened: {error.strerror}", "run this as the server's user")
        ], None
    try:
        finding, current = _of_file(path)
    finally:
        lock.release()
    return [finding], asyncio.run(_stored_keys(path)) if current else None


def keys(config: Config, stored: Sequence[KeyFacts] | None) -> list[Finding]:
    """`stored` are the keys of the database; None if they are not known, which was said there."""
    try:
        known = [*map(_facts, config_keys(config)), *(stored or ())]
    except ConfigurationError as error:
        return [_failed("keys", str(error), None)]
    jwt = config.auth.jwt
    if stored is None:
        return []
    found = []
    add = "`coatcheck keys add NAME --admin` makes one"
    if not known and jwt is None:
        if config.auth.required is AuthRequired.AUTO and not is_loopback(config.server.host):
            return [_failed("keys", f"none, and {config.server.host} can be reached from elsewhere", add)]
        if config.auth.required is AuthRequired.TRUE:
            return [_failed("keys", "none, and one is required: nobody can submit", add)]
        return [Finding(subject="keys", message="none: the server is open to this machine")]
    if not any(key.admin for key in known) and (jwt is None or jwt.admin_claim is None):
        found.append(_warning("keys", "none is an admin's: nobody can look after the server", add))
    for key in known:
        if key.left_seconds is not None and key.left_seconds < _SOON_SECONDS:
            when = f"ends in {lasted(key.left_seconds)}" if key.left_seconds > 0 else "has expired"
            cure = f"`coatcheck keys rotate {key.name}` gives it a new token"
            found.append(_warning("keys", f"{key.name} {when}", cure))
    count = f"{len(known)}, of which {sum(key.admin for key in known)} are admins'"
    return [Finding(subject="keys", message=count + (f"; and tokens of {jwt.issuer}" if jwt else "")), *found]


async def providers(config: Config) -> list[Finding]:
    """One ping for each, all at once."""
    pings = [_ping(name, settings) for name, settings in config.providers.items()]
    return [finding for found in await asyncio.gather(*pings) for finding in found]


async def _ping(name: str, settings: ProviderSettings) -> list[Finding]:
    subject = f"provider {name}"
    try:
        provider = KINDS[settings.kind].make(name, settings.options)
    except ValueError as error:
        return [_failed(subject, str(error), f"see [providers.{name}]")]
    try:
        await provider.start()
        async with asyncio.timeout(_PING_SECONDS):
            said = await provider.ping()
    except CallFailed as failure:
        return [_failed(subject, failure.message, None)]
    except TimeoutError:
        return [_failed(subject, f"did not answer within {_PING_SECONDS:g} seconds", f"see [providers.{name}]")]
    finally:
        await provider.close()
    found = [Finding(subject=subject, message=said)]
    if _keyless(settings.options):
        found.append(_warning(subject, "is elsewhere and is sent no key", f"set api_key_env in [providers.{name}]"))
    return found


def _keyless(options: object) -> bool:
    """Whether a provider on another machine is called without credentials."""
    if not isinstance(options, OpenAIOptions) or options.api_key_env is not None or options.headers:
        return False
    return not is_loopback(urlsplit(options.base_url).hostname or "")


def _of_running(server: Server, owned: StoreLocked) -> tuple[list[Finding], list[KeyFacts] | None]:
    try:
        server.ask("GET", "/readyz")
    except NotReached as error:
        return [_failed("database", f"{owned}; {error}", None)], None
    except ServerRefused as error:
        return [_failed("database", str(error), None)], None
    found = Finding(subject="database", message=f"owned by the server at {server.url}, which is ready")
    try:
        told = server.ask("GET", "/v1/keys").json["data"]
    except ServerRefused as error:
        return [found, _warning("keys", str(error), None)], None
    return [found], [
        KeyFacts(
            name=key["name"],
            admin=key["admin"],
            left_seconds=(moment(key["expires_at"]) - now()).total_seconds() if "expires_at" in key else None,
        )
        for key in told
    ]


def _of_file(path: Path) -> tuple[Finding, bool]:
    """What is found of a database that nobody has open, and whether its schema is today's."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as db:
            ((application,),) = db.execute("PRAGMA application_id")
            ((version,),) = db.execute("PRAGMA user_version")
            ((tables,),) = db.execute("SELECT COUNT(*) FROM sqlite_schema")
            faults = [row[0] for row in db.execute("PRAGMA quick_check(3)") if row[0] != "ok"]
    except sqlite3.Error as error:
        return _failed("database", f"{path} cannot be read: {error}", "bring back a copy of it"), False
    if tables and application != APPLICATION_ID:
        return _failed("database", f"{path} is of another application", "name another file in [store] url"), False
    if version > len(MIGRATIONS):
        return _failed("database", f"{path} was written by a newer Coatcheck", "use that version"), False
    if faults:
        return _failed("database", f"{path} is damaged: {'; '.join(faults)}", "bring back a copy of it"), False
    if version < len(MIGRATIONS):
        said = f"{path} is sound; the next start brings it from schema {version} to {len(MIGRATIONS)}"
        return Finding(subject="database", message=said), False
    return Finding(subject="database", message=f"{path} is sound"), True


async def _stored_keys(path: Path) -> list[KeyFacts]:
    store = await Store.open(path)
    try:
        return list(map(_facts, await store.keys()))
    finally:
        await store.close()


def _facts(key: Key) -> KeyFacts:
    left = None if key.expires_at is None else (key.expires_at - Clock().now()) / SECOND
    return KeyFacts(name=key.name, admin=key.admin, left_seconds=left)


def _warning(subject: str, message: str, cure: str | None) -> Finding:
    return Finding(subject=subject, level=Level.WARNING, message=message, cure=cure)


def _failed(subject: str, message: str, cure: str | None) -> Finding:
    return Finding(subject=subject, level=Level.FAILED, message=message, cure=cure)


def unusable(error: CoatcheckError) -> Finding:
    """The configuration cannot be used."""
    return _failed("configuration", str(error), None)

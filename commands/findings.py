"""What `coatcheck check` finds of the configuration: of its keys and its issuer of tokens too."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from coatcheck.app import make_tokens
from coatcheck.engine.clock import Clock
from coatcheck.engine.errors import CoatcheckError, ConfigurationError
from coatcheck.engine.jobs import SECOND
from coatcheck.engine.keys import Key
from coatcheck.handlers.auth import is_loopback
from coatcheck.schemas.config import AuthRequired, Config, JwtSettings
from coatcheck.schemas.config_keys import config_keys

from .moments import lasted

#: Keys that end sooner are named.
_SOON_SECONDS = 7 * 86_400


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    #: What was looked at: "configuration", "server", "database", "files", "keys", "tokens", "webhooks",
    #: "provider NAME".
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
        found.append(warning("configuration", "there are no providers", "add a table [providers.NAME]"))
    if config.auth.required is AuthRequired.FALSE and not is_loopback(config.server.host):
        open_to = f"whoever reaches {config.server.host} may use this server"
        found.append(warning("configuration", open_to, "set [auth] required to auto or true"))
    count = len(config.providers)
    said = f"{path} can be used; {count} provider{'' if count == 1 else 's'}"
    return [Finding(subject="configuration", message=said), *found]


def unusable(error: CoatcheckError, path: Path) -> Finding:
    """The configuration cannot be used."""
    return failed("configuration", str(error), f"change {path}, or name another file with --config")


def keys(config: Config, stored: Sequence[KeyFacts] | None) -> list[Finding]:
    """`stored` are the keys of the database; None if they are not known, which was said there."""
    try:
        known = [*map(facts, config_keys(config)), *(stored or ())]
    except ConfigurationError as error:
        unset = [key.key_env for key in config.auth.keys if key.key_env and not os.environ.get(key.key_env)]
        cure = f"set {unset[0]}, where the server starts and here" if unset else "change [[auth.keys]]"
        return [failed("keys", str(error), cure)]
    jwt = config.auth.jwt
    if stored is None:
        return []
    found = []
    add = "`coatcheck keys add NAME --admin` makes one"
    if not known and jwt is None:
        if config.auth.required is AuthRequired.AUTO and not is_loopback(config.server.host):
            return [failed("keys", f"none, and {config.server.host} can be reached from elsewhere", add)]
        if config.auth.required is AuthRequired.TRUE:
            return [failed("keys", "none, and one is required: nobody can submit", add)]
        return [Finding(subject="keys", message="none: the server is open to this machine")]
    valid = [key for key in known if key.left_seconds is None or key.left_seconds > 0]
    if not any(key.admin for key in valid) and (jwt is None or jwt.admin_claim is None):
        found.append(warning("keys", "none is an admin's: nobody can look after the server", add))
    for key in known:
        if key.left_seconds is not None and key.left_seconds < _SOON_SECONDS:
            when = f"ends in {lasted(key.left_seconds)}" if key.left_seconds > 0 else "has expired"
            cure = f"`coatcheck keys rotate {key.name} --expires-in 90d` gives it a new token and a later end"
            found.append(warning("keys", f"{key.name} {when}", cure))
    return [Finding(subject="keys", message=_counted(known) + (f"; and tokens of {jwt.issuer}" if jwt else "")), *found]


async def tokens(config: Config, data: Path | None, path: Path) -> list[Finding]:
    """Whether tokens of `[auth.jwt]` can be checked, by doing what a start does; `path` is the configuration's."""
    jwt = config.auth.jwt
    if jwt is None:
        return []
    try:
        known = make_tokens(config.auth, Clock(), data)
    except ConfigurationError as error:
        return [failed("tokens", str(error), _mend(jwt, error, path))]
    assert known is not None
    with _logged("coatcheck.handlers.jwks") as records:
        try:
            await known.start()
        except ConfigurationError as error:
            cure = "put the issuer's JWK Set there, or name it in jwks; a relative path begins at --data"
            return [failed("tokens", str(error), cure)]
        finally:
            await known.close()
    # An address may answer later, so that a server starts all the same; until then it takes no token.
    where = f"is jwks of [auth.jwt] in {path} right, and can this machine reach it? Until then no token is valid"
    found = [
        failed("tokens", record.getMessage(), where)
        if record.levelno >= logging.ERROR
        else warning("tokens", record.getMessage(), "compare algorithms of [auth.jwt] with what the issuer publishes")
        for record in records
    ]
    if any(finding.level is Level.FAILED for finding in found):
        return found
    source = "with the shared secret" if jwt.jwks is None else "with the issuer's public keys"
    return [Finding(subject="tokens", message=f"those of {jwt.issuer} are checked {source}"), *found]


def _mend(jwt: JwtSettings, error: ConfigurationError, path: Path) -> str:
    if jwt.secret_env is not None and jwt.secret_env in str(error):
        return f"set {jwt.secret_env} to the secret that the issuer signs with, where the server starts and here"
    return f"change [auth.jwt] in {path}"


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def _logged(name: str) -> Iterator[list[logging.LogRecord]]:
    """What is logged under that name meanwhile, instead of its being written."""
    logger, handler = logging.getLogger(name), _Kept()
    logger.addHandler(handler)
    try:
        yield handler.records
    finally:
        logger.removeHandler(handler)


def _counted(known: Sequence[KeyFacts]) -> str:
    admins = sum(key.admin for key in known)
    if len(known) < 2:
        return ("1, an admin's" if admins else "1, not an admin's") if known else "none"
    whose = {0: "none of them an admin's", 1: "one of them an admin's"}.get(admins, f"{admins} of them admins'")
    return f"{len(known)}, {whose}"


def facts(key: Key) -> KeyFacts:
    left = None if key.expires_at is None else (key.expires_at - Clock().now()) / SECOND
    return KeyFacts(name=key.name, admin=key.admin, left_seconds=left)


def warning(subject: str, message: str, cure: str | None) -> Finding:
    return Finding(subject=subject, level=Level.WARNING, message=message, cure=cure)


def failed(subject: str, message: str, cure: str | None) -> Finding:
    return Finding(subject=subject, level=Level.FAILED, message=message, cure=cure)

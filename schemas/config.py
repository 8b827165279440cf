"""The configuration: one TOML file, checked against the dataclasses that its tables become.

A table's dataclass is its schema: field types are the checks, `metadata` narrows them (`min`, `max`), a field without
a default is required. A provider's kind brings its own dataclass, so that a new kind changes nothing here.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import marshmallow

from ..engine.errors import ConfigurationError
from ..engine.limits import Limits
from ..engine.logs import LogFormat, LogLevel
from ..engine.settings import DeliverySettings, JobSettings, StoreSettings
from .tables import faults, meant, schema_of

T = TypeVar("T")


class AuthRequired(StrEnum):
    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    host: str = "127.0.0.1"
    port: int = field(default=8080, metadata={"min": 0, "max": 65535})
    #: Names that a request's Host header may have. Empty: those of the loopback on a loopback address, any elsewhere.
    allowed_hosts: tuple[str, ...] = ()
    #: Bodies of JSON requests.
    max_json_bytes: int = field(default=10_000_000, metadata={"min": 1024})
    #: One file of a form, and all of a form.
    max_upload_bytes: int = field(default=268_435_456, metadata={"min": 1024})
    max_form_bytes: int = field(default=536_870_912, metadata={"min": 1024})
    #: What one owner's uploads may have together.
    max_stored_upload_bytes: int = field(default=10_737_418_240, metadata={"min": 1024})
    #: Where clients reach this server, as https://ai.example.com/coatcheck, for links. None: links in answers lead to
    #: where the request came, those in webhooks are paths.
    base_url: str | None = None
    #: The longest that a client may have its answer held back, by `Prefer: wait`.
    max_wait_seconds: int = field(default=60, metadata={"min": 0, "max": 3600})
    #: Whether /metrics is for everyone who can reach the server.
    public_metrics: bool = False
    #: Of `coatcheck serve`, to stderr; an application that embeds the gateway has a log of its own.
    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = LogLevel.INFO


@dataclass(frozen=True, kw_only=True)
class LimitedSettings(Limits):
    """Who is limited, with the limits among the rest."""

    @property
    def limits(self) -> Limits:
        return Limits(**{f.name: getattr(self, f.name) for f in fields(Limits)})


@dataclass(frozen=True, kw_only=True)
class KeySettings(LimitedSettings):
    name: str
    #: The token itself, or the environment variable that holds it.
    key: str | None = None
    key_env: str | None = None
    #: The environment variable that holds the token before this one, which is still valid.
    previous_key_env: str | None = None
    admin: bool = False


@dataclass(frozen=True, kw_only=True)
class JwtSettings(LimitedSettings):
    """Tokens of an issuer; the limits are those of each of its subjects."""

    #: What the tokens' `iss` must be.
    issuer: str
    #: What their `aud` must be or hold; None: tokens that name an audience are refused.
    audience: str | None = None
    #: The issuer's public keys (RFC 7517): a file's path or an http(s) address.
    jwks: str | None = None
    #: Instead of `jwks`: the environment variable that holds the shared secret.
    secret_env: str | None = None
    #: Empty: RS256 and ES256 with `jwks`, HS256 with a secret.
    algorithms: tuple[str, ...] = ()
    #: The claim that names the owner of what is submitted.
    owner_claim: str = "sub"
    #: The claim that makes an admin; None: no token does.
    admin_claim: str | None = None
    #: What that claim must be, or hold; None: it must be `true`.
    admin_value: str | None = None
    #: How far the issuer's clock and this one may be apart.
    leeway_seconds: float = field(default=30.0, metadata={"min": 0, "max": 600})


@dataclass(frozen=True, kw_only=True)
class AuthSettings:
    #: "auto": open on a loopback address while no key exists; elsewhere a key is needed.
    required: AuthRequired = AuthRequired.AUTO
    keys: tuple[KeySettings, ...] = ()
    jwt: JwtSettings | None = None


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """A receiver of webhooks that submits can name."""

    name: str
    url: str
    #: The environment variable that holds its secret, `whsec_` and base64; None: one is made on first use.
    secret_env: str | None = None
    #: The one that holds the secret before, with which is signed as well.
    previous_secret_env: str | None = None
    #: None: as for all webhooks.
    allow_private_networks: bool | None = None


@dataclass(frozen=True, kw_only=True)
class WebhookSettings(DeliverySettings):
    #: Whether addresses that clients give may be in private networks, or on this machine.
    allow_private_networks: bool = False
    #: A larger payload is sent without the result.
    max_payload_bytes: int = field(default=4_194_304, metadata={"min": 1024})
    #: For a file at an address that a client gives as its job's input.
    fetch_timeout_seconds: float = field(default=60.0, metadata={"min": 0.1, "max": 3600})
    endpoints: tuple[EndpointSettings, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    kind: str
    #: An instance of the kind's dataclass.
    options: Any


@dataclass(frozen=True, kw_only=True)
class Config:
    server: ServerSettings = field(default_factory=ServerSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)


class Kind(Protocol):
    """A kind of provider."""

    @property
    def options(self) -> type:
        """The dataclass of its options; asked of kinds that are in the configuration alone."""


#: The tables with fixed names.
SECTIONS: Mapping[str, type] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "jobs": JobSettings,
    "auth": AuthSettings,
    "webhooks": WebhookSettings,
}


def read(path: Path) -> dict[str, Any]:
    """The file as nested dictionaries. Raises `ConfigurationError` if it cannot be read or is not TOML."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error


def load(document: Mapping[str, Any], kinds: Mapping[str, Kind], environ: Mapping[str, str] | None = None) -> Config:
    """The configuration from a parsed file; `kinds` are those of providers by name, `environ` is what overrides single
    values (`COATCHECK_SERVER_PORT`).

    Raises `ConfigurationError`, which names the key at fault and, for an unknown one, what was probably meant.
    """
    _known(document, [*SECTIONS, "providers"], "")
    sections: dict[str, Any] = {}
    for name, cls in SECTIONS.items():
        table = _table(document.get(name, {}), f"[{name}]")
        sections[name] = _load(cls, {**table, **_overrides(name, cls, environ or {})}, f"[{name}]")
    _check_base_url(sections["server"].base_url)
    providers = {
        name: _provider(name, table, kinds)
        for name, table in _table(document.get("providers", {}), "[providers]").items()
    }
    return Config(**sections, providers=providers)


def _check_base_url(url: str | None) -> None:
    """Refuses what no path can be put behind."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None or " " in url:
        raise ConfigurationError(
            f"[server]: base_url: expected an http or https address, as https://ai.example.com/coatcheck, got {url!r}"
        )


def _provider(name: str, table: object, kinds: Mapping[str, Kind]) -> ProviderSettings:
    where = f"[providers.{name}]"
    if not name or "/" in name:
        raise ConfigurationError(f"{where}: a provider's name is not empty and has no slash")
    options = dict(_table(table, where))
    kind = options.pop("kind", None)
    if kind is None:
        raise ConfigurationError(f"{where}: kind is missing; it is one of {', '.join(kinds)}")
    _known([str(kind)], kinds, where, noun="kind")
    return ProviderSettings(kind=kind, options=_load(kinds[kind].options, options, where))


def _load(cls: Callable[..., T], table: Mapping[str, Any], where: str) -> T:
    _known(table, [f.name for f in fields(cls)], where)  # type: ignore[arg-type]
    try:
        loaded: T = schema_of(cls).load(table)
    except marshmallow.ValidationError as error:
        wrong = "; ".join(f"{path}: {fault}" for path, fault in faults(error.messages))
        raise ConfigurationError(f"{where}: {wrong}") from error
    return loaded


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} is a table, not {value!r}")
    return value


def _known(given: Iterable[str], known: Iterable[str], where: str, noun: str = "key") -> None:
    for name in given:
        if name not in set(known):
            raise ConfigurationError(f"{where or 'the configuration'}: unknown {noun} {name!r}; {meant(name, known)}")


def _overrides(section: str, cls: type, environ: Mapping[str, str]) -> dict[str, object]:
    """The section's single values that environment variables give, as TOML would have them."""
    found: dict[str, object] = {}
    for f in fields(cls):
        text = environ.get(f"COATCHECK_{section}_{f.name}".upper())
        if text is None or f.name in ("keys", "jwt", "endpoints"):
            continue
        if f.type in (int, float):
            try:
                found[f.name] = int(text) if f.type is int else float(text)
            except ValueError:
                found[f.name] = text
        elif f.type is bool:
            found[f.name] = {"true": True, "false": False}.get(text.lower(), text)
        elif f.type == tuple[str, ...]:
            found[f.name] = [part.strip() for part in text.split(",") if part.strip()]
        else:
            found[f.name] = text
    return found

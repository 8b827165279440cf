"""The configuration: one TOML file, checked against the dataclasses that its tables become.

A table's dataclass is its schema: field types are the checks, `metadata` narrows them (`min`, `max`), a field without
a default is required. A provider's kind brings its own dataclass, so that a new kind changes nothing here.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import marshmallow

from ..engine.errors import ConfigurationError
from ..engine.settings import JobSettings, StoreSettings
from .tables import schema_of

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


@dataclass(frozen=True, kw_only=True)
class KeySettings:
    name: str
    #: The token itself, or the environment variable that holds it.
    key: str | None = None
    key_env: str | None = None
    admin: bool = False


@dataclass(frozen=True, kw_only=True)
class AuthSettings:
    #: "auto": open on a loopback address while no key exists; elsewhere a key is needed.
    required: AuthRequired = AuthRequired.AUTO
    keys: tuple[KeySettings, ...] = ()


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
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)


#: The tables with fixed names.
SECTIONS: Mapping[str, type] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "jobs": JobSettings,
    "auth": AuthSettings,
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


def load(document: Mapping[str, Any], kinds: Mapping[str, type], environ: Mapping[str, str] | None = None) -> Config:
    """The configuration from a parsed file; `kinds` are the option dataclasses of the kinds of providers, `environ`
    what overrides single values (`COATCHECK_SERVER_PORT`).

    Raises `ConfigurationError`, which names the key at fault and, for an unknown one, what was probably meant.
    """
    _known(document, [*SECTIONS, "providers"], "")
    sections: dict[str, Any] = {}
    for name, cls in SECTIONS.items():
        table = _table(document.get(name, {}), f"[{name}]")
        sections[name] = _load(cls, {**table, **_overrides(name, cls, environ or {})}, f"[{name}]")
    providers = {
        name: _provider(name, table, kinds)
        for name, table in _table(document.get("providers", {}), "[providers]").items()
    }
    return Config(**sections, providers=providers)


def _provider(name: str, table: object, kinds: Mapping[str, type]) -> ProviderSettings:
    where = f"[providers.{name}]"
    if not name or "/" in name:
        raise ConfigurationError(f"{where}: a provider's name is not empty and has no slash")
    options = dict(_table(table, where))
    kind = options.pop("kind", None)
    if kind is None:
        raise ConfigurationError(f"{where}: kind is missing; it is one of {', '.join(kinds)}")
    _known([str(kind)], kinds, where, noun="kind")
    return ProviderSettings(kind=kind, options=_load(kinds[kind], options, where))


def _load(cls: Callable[..., T], table: Mapping[str, Any], where: str) -> T:
    _known(table, [f.name for f in fields(cls)], where)  # type: ignore[arg-type]
    try:
        loaded: T = schema_of(cls).load(table)
    except marshmallow.ValidationError as error:
        raise ConfigurationError(f"{where}: {'; '.join(_messages(error.messages))}") from error
    return loaded


def _messages(messages: object, path: str = "") -> Iterable[str]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _messages(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(messages, list):
        yield f"{path}: {' '.join(map(str, messages))}"


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} is a table, not {value!r}")
    return value


def _known(given: Iterable[str], known: Iterable[str], where: str, noun: str = "key") -> None:
    for name in given:
        if name not in set(known):
            near = difflib.get_close_matches(name, list(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigurationError(f"{where or 'the configuration'}: unknown {noun} {name!r}; {hint}")


def _overrides(section: str, cls: type, environ: Mapping[str, str]) -> dict[str, object]:
    """The section's single values that environment variables give, as TOML would have them."""
    found: dict[str, object] = {}
    for f in fields(cls):
        text = environ.get(f"COATCHECK_{section}_{f.name}".upper())
        if text is None or f.name == "keys":
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

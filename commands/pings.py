"""What `coatcheck check` finds of the providers: each is asked whether it is there."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from coatcheck.engine.errors import CallFailed, NotConfigured, Refused
from coatcheck.handlers.auth import is_loopback
from coatcheck.providers.http import HttpOptions
from coatcheck.providers.kinds import KINDS
from coatcheck.providers.openai.provider import OpenAIProvider
from coatcheck.providers.options import NotSet
from coatcheck.providers.vendor import Vendor
from coatcheck.schemas.config import Config, ProviderSettings

from .findings import Finding, failed, warning

#: A provider that has not answered by then is taken to be away.
_PING_SECONDS = 20.0


async def providers(config: Config, path: Path) -> list[Finding]:
    """One ping for each, all at once; `path` is the configuration's."""
    pings = [_ping(name, settings, path) for name, settings in config.providers.items()]
    return [finding for found in await asyncio.gather(*pings) for finding in found]


async def _ping(name: str, settings: ProviderSettings, path: Path) -> list[Finding]:
    subject = f"provider {name}"
    options = settings.options
    try:
        provider = KINDS[settings.kind].make(name, options)
    except NotSet as error:
        cure = f"set {error.env} to the provider's key, where the server starts and here"
        return [failed(subject, str(error), cure)]
    except ValueError as error:
        return [failed(subject, str(error), f"change [providers.{name}] in {path}")]
    try:
        await provider.start()
        async with asyncio.timeout(_PING_SECONDS):
            said = await provider.ping()
    except CallFailed as failure:
        # These say what to do themselves.
        refused = isinstance(failure, Refused)
        way = None if isinstance(failure, NotConfigured) else _way(name, provider, refused=refused)
        return [failed(subject, failure.message, way)]
    except TimeoutError:
        return [failed(subject, f"did not answer within {_PING_SECONDS:g} seconds", _way(name, provider))]
    finally:
        await provider.close()
    found = [Finding(subject=subject, message=said)]
    if _keyless(options, provider):
        found.append(warning(subject, "is elsewhere and is sent no key", f"set api_key_env in [providers.{name}]"))
    return found


def _way(name: str, provider: object, *, refused: bool = False) -> str | None:
    """What to look at when a provider does not answer as it should, or answers that it will not."""
    if not isinstance(provider, Vendor):
        return None
    envs = " or ".join(provider.door.key_envs)
    key = f", and the key in {envs}" if refused and envs else ""
    tried = f" Tried: GET {provider.door.address}/models" if isinstance(provider, OpenAIProvider) else ""
    return f"is base_url of [providers.{name}] right{key}?{tried}"


def _keyless(options: object, provider: object) -> bool:
    """Whether a provider on another machine is called without credentials."""
    if not isinstance(provider, Vendor) or not isinstance(options, HttpOptions):
        return False
    without = not provider.door.keyed and not options.headers
    return without and not is_loopback(urlsplit(provider.door.address).hostname or "")

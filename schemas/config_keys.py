"""The keys of the configuration, with the tokens that it holds or the environment."""

import os
from collections.abc import Mapping

from ..engine.errors import ConfigurationError
from ..engine.keys import EarlierToken, Key, digest
from .config import Config


def config_keys(config: Config, environ: Mapping[str, str] = os.environ) -> list[Key]:
    """The keys of `[[auth.keys]]`."""
    found = []
    for settings in config.auth.keys:
        where = f"[[auth.keys]] {settings.name!r}"
        if (settings.key is None) == (settings.key_env is None):
            raise ConfigurationError(f"{where}: give either key or key_env")
        token = settings.key or environ.get(settings.key_env or "")
        if not token:
            raise ConfigurationError(f"{where}: the environment variable {settings.key_env} is not set")
        # Not set, there is none: a rotation changes the environment alone.
        earlier = environ.get(settings.previous_key_env or "")
        found.append(
            Key(
                id=f"config/{settings.name}",
                name=settings.name,
                sha256=digest(token),
                admin=settings.admin,
                limits=settings.limits,
                earlier=(EarlierToken(sha256=digest(earlier)),) if earlier and earlier != token else (),
            )
        )
    tokens = [sha256 for key in found for sha256, _ in key.tokens]
    if len({key.name for key in found}) < len(found) or len(set(tokens)) < len(tokens):
        raise ConfigurationError("[[auth.keys]]: two keys have the same name or the same token")
    return found

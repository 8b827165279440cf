"""The receivers of webhooks that clients can name, as the configuration has them."""

import re
from collections.abc import Mapping

from ..engine.errors import ConfigurationError
from ..engine.fetch import check_url
from ..engine.hooks import Endpoint
from ..engine.keys import NAME
from ..engine.signatures import read_whsec
from .config import EndpointSettings, WebhookSettings


def endpoints(settings: WebhookSettings, environ: Mapping[str, str]) -> dict[str, Endpoint]:
    """The endpoints by their names, with the secrets that the environment holds. Raises `ConfigurationError`."""
    found: dict[str, Endpoint] = {}
    for endpoint in settings.endpoints:
        where = f"[[webhooks.endpoints]] {endpoint.name!r}"
        if not re.fullmatch(NAME, endpoint.name):
            raise ConfigurationError(f"{where}: a name is 1 to 64 letters, digits, dots, dashes or underscores")
        if endpoint.name in found:
            raise ConfigurationError(f"{where}: two endpoints have this name")
        wrong = check_url(endpoint.url)
        if wrong is not None:
            raise ConfigurationError(f"{where}: url {wrong}")
        found[endpoint.name] = Endpoint(
            url=endpoint.url,
            secrets=_secrets(endpoint, environ, where),
            allow_private=endpoint.allow_private_networks,
        )
    return found


def _secrets(endpoint: EndpointSettings, environ: Mapping[str, str], where: str) -> tuple[bytes, ...]:
    """The newest first; none where the store makes one."""
    if endpoint.secret_env is None:
        if endpoint.previous_secret_env is not None:
            raise ConfigurationError(f"{where}: previous_secret_env is of no use without secret_env")
        return ()
    secret = _secret(environ, endpoint.secret_env, where)
    if secret is None:
        raise ConfigurationError(f"{where}: the environment variable {endpoint.secret_env} is not set")
    # Not set, there is none: a rotation changes the environment alone.
    before = _secret(environ, endpoint.previous_secret_env or "", where)
    return (secret,) if before in (None, secret) else (secret, before)


def _secret(environ: Mapping[str, str], name: str, where: str) -> bytes | None:
    text = environ.get(name)
    if not text:
        return None
    try:
        return read_whsec(text)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {name}: {error}") from None

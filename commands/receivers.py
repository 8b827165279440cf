"""What `coatcheck check` finds of the receivers of webhooks that the configuration names."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from coatcheck.engine.addresses import is_address, refusal
from coatcheck.engine.errors import ConfigurationError
from coatcheck.handlers.auth import is_loopback
from coatcheck.schemas.config import Config, EndpointSettings
from coatcheck.schemas.endpoints import endpoints

from .findings import Finding, failed, warning

_SUBJECT = "webhooks"


def webhooks(config: Config, path: Path) -> list[Finding]:
    """Nothing is sent. `path` is the configuration's."""
    settings, exposed = config.webhooks, not is_loopback(config.server.host)
    try:
        known = endpoints(settings, os.environ)
    except ConfigurationError as error:
        return [failed(_SUBJECT, str(error), _mend(settings.endpoints, error, path))]
    found = list(_unreachable(config, path))
    if settings.allow_private_networks and exposed:
        open_to = "clients may have this server ask addresses in private networks and on this machine"
        cure = "set allow_private_networks of single [[webhooks.endpoints]] instead, where that will do"
        found.append(warning(_SUBJECT, open_to, cure))
    if known and exposed and config.server.base_url is None:
        paths = "what is sent names jobs by paths: receivers do not learn where this server is"
        found.append(warning(_SUBJECT, paths, f"set [server] base_url in {path}"))
    if not known:
        return found
    count = len(known)
    named = f"{count} endpoint{'' if count == 1 else 's'}: {', '.join(known)}"
    return [Finding(subject=_SUBJECT, message=named), *found]


def _unreachable(config: Config, path: Path) -> Iterator[Finding]:
    """Endpoints whose address is never dialled."""
    for endpoint in config.webhooks.endpoints:
        allowed = endpoint.allow_private_networks
        allowed = config.webhooks.allow_private_networks if allowed is None else allowed
        host = urlsplit(endpoint.url).hostname or ""
        why = refusal(host, allowed) if is_address(host) else None
        if why is None and is_loopback(host) and not allowed:
            why = "is this machine's own"
        if why is not None:
            cure = f"set allow_private_networks of that endpoint in {path} to true, if that is meant"
            yield failed(_SUBJECT, f"{endpoint.name}: {host} {why}, and is not dialled", cure)


def _mend(known: tuple[EndpointSettings, ...], error: ConfigurationError, path: Path) -> str:
    for name in (name for one in known for name in (one.secret_env, one.previous_secret_env)):
        if name and name in str(error):
            return f"set {name}, where the server starts and here: whsec_ and the base64 of 32 random bytes"
    return f"change [[webhooks.endpoints]] in {path}"

"""What `coatcheck check` finds of a server that runs: whether it is ready, and the keys that it knows."""

import os
from dataclasses import dataclass

from .client import NotReached, Server
from .findings import Finding, KeyFacts, failed, warning
from .moments import moment, now
from .refusals import WHERE, ServerRefused

#: Longer than a server that is alive takes to find that it is not ready.
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Running:
    finding: Finding
    url: str
    #: Whether COATCHECK_URL says that there is one; else it is looked for where the configuration has it listen.
    named: bool
    #: Whether a server of this kind answered.
    ours: bool = False
    ready: bool = False


def look(server: Server) -> Running:
    named = bool(os.environ.get("COATCHECK_URL"))
    url = server.url

    def found(finding: Finding, *, ours: bool = False, ready: bool = False) -> Running:
        return Running(finding=finding, url=url, named=named, ours=ours, ready=ready)

    foreign = f"what answers at {url} is no Coatcheck server"
    cure = WHERE if named else "end what has that port, or set another [server] port"
    try:
        if server.ask("GET", "/healthz", patience_seconds=_PATIENCE_SECONDS).json != {"status": "ok"}:
            return found(failed("server", foreign, cure))
    except (ServerRefused, ValueError):
        return found(failed("server", foreign, cure))
    except NotReached as error:
        if named or error.sent:
            return found(failed("server", str(error).removesuffix(f": {WHERE}"), cure))
        return found(Finding(subject="server", message=f"no server runs at {url}"))
    try:
        server.ask("GET", "/readyz", patience_seconds=_PATIENCE_SECONDS)
    except (NotReached, ServerRefused) as error:
        why = f"{url} is not ready: {_reason(error)}"
        return found(failed("server", why, "mend that, or restart the server; its log has more"), ours=True)
    return found(Finding(subject="server", message=f"{url} is ready"), ours=True, ready=True)


def told_keys(server: Server) -> tuple[list[Finding], list[KeyFacts] | None]:
    """The keys that the server knows beside the configuration's; None if it does not say."""
    try:
        told = server.ask("GET", "/v1/keys", patience_seconds=_PATIENCE_SECONDS).json["data"]
    except (NotReached, ServerRefused) as error:
        return [warning("keys", str(error), None)], None
    return [], [
        KeyFacts(
            name=key["name"],
            admin=key["admin"],
            left_seconds=(moment(key["expires_at"]) - now()).total_seconds() if "expires_at" in key else None,
        )
        for key in told
    ]


def _reason(error: NotReached | ServerRefused) -> str:
    return error.reason if isinstance(error, ServerRefused) and error.reason is not None else str(error)

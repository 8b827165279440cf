"""How often an owner may submit, and how it is told (draft-ietf-httpapi-ratelimit-headers)."""

import math
from collections.abc import Mapping

from ..engine.errors import RateLimited
from ..engine.keys import Caller
from ..engine.rates import Allowance
from .gateway import Gateway

_NONE: Mapping[str, str] = {}


def admit(gateway: Gateway, who: Caller) -> Mapping[str, str]:
    """Counts a submit or retry of this caller; the headers that say what is left, none if it has no limit.

    Raises `RateLimited`, with the same headers, if it has to wait.
    """
    per_minute = gateway.keys.limits(who.owner).requests_per_minute
    if per_minute is None:
        return _NONE
    return _granted(gateway.rates.ask(who.owner, per_minute), per_minute)


def foresee(gateway: Gateway, who: Caller) -> None:
    """Raises `RateLimited` if a submit of this caller would have to wait; counts nothing."""
    per_minute = gateway.keys.limits(who.owner).requests_per_minute
    if per_minute is not None:
        _granted(gateway.rates.look(who.owner, per_minute), per_minute)


def _granted(allowance: Allowance, per_minute: int) -> Mapping[str, str]:
    """The headers that say what is left; raises `RateLimited`, with them, if nothing is."""
    headers = {
        "RateLimit-Policy": f'"submits";q={per_minute};w=60',
        "RateLimit": f'"submits";r={allowance.left};t={math.ceil(allowance.full_seconds)}',
    }
    if not allowance.granted:
        raise RateLimited(
            f"you may make no more than {per_minute} requests a minute: submits and retries",
            retry_after=math.ceil(allowance.next_seconds),
            headers=headers,
        )
    return headers

"""How often an owner may submit, and how it is told (draft-ietf-httpapi-ratelimit-headers)."""

import math
from collections.abc import Mapping

from ..engine.errors import RateLimited
from ..engine.keys import Caller
from .gateway import Gateway

_NONE: Mapping[str, str] = {}


def admit(gateway: Gateway, who: Caller) -> Mapping[str, str]:
    """Counts a submit or retry of this caller; the headers that say what is left, none if it has no limit.

    Raises `RateLimited`, with the same headers, if it has to wait.
    """
    per_minute = gateway.keys.limits(who.owner).requests_per_minute
    if per_minute is None:
        return _NONE
    allowance = gateway.rates.ask(who.owner, per_minute)
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

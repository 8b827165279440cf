"""What one owner may have at once, whatever the lanes and the backlog would take."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Limits:
    """None: no limit of its own."""

    #: Jobs that may run at once, over all lanes.
    max_concurrency: int | None = field(default=None, metadata={"min": 1})
    #: Submits and retries; polls are not counted.
    requests_per_minute: int | None = field(default=None, metadata={"min": 1, "max": 100_000})
    #: Jobs that may wait; instead of `[jobs] max_pending_per_owner`.
    max_pending: int | None = field(default=None, metadata={"min": 1})


UNLIMITED = Limits()


def unlimited(owner: str) -> Limits:
    """The limits of owners where nobody has any."""
    return UNLIMITED

"""The options that every kind of provider has; a kind adds its own in a dataclass of its own.

`schemas/config.py` turns such a dataclass into the schema of a `[providers.NAME]` table: the fields' types are the
checks, `metadata={"min": …}` narrows a number, and a field without a default is required.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..engine.calls import CallPolicy, OnInterrupt
from .prices import Price


class NotSet(ValueError):
    """An environment variable is not set that the options name, or else the kind."""

    def __init__(self, where: str, env: str) -> None:
        super().__init__(f"{where}: the environment variable {env} is not set")
        self.env = env


def variable(where: str, env: str, environ: Mapping[str, str]) -> str:
    """The value of an environment variable, which `where` of the options names. Raises `NotSet`."""
    # What reads it from a file often brings the end of its line along, which no header may have.
    value = environ.get(env, "").strip()
    if not value:
        raise NotSet(where, env)
    return value


@dataclass(frozen=True, kw_only=True)
class ProviderOptions:
    #: Calls that may run at once.
    concurrency: int = field(default=16, metadata={"min": 1})
    #: Seconds that one call may take.
    timeout_seconds: float = field(default=600.0, metadata={"min": 0.001})
    #: How often a call is tried again here before the next fallback.
    retries: int = field(default=2, metadata={"min": 0})
    #: What becomes of a call whose outcome is unknown; None: as `[jobs] on_interrupt` says.
    on_interrupt: OnInterrupt | None = None
    #: Models that may be named without the provider's prefix. Empty: whatever the client names is passed on.
    models: tuple[str, ...] = ()
    #: What its models cost, by name or pattern ("*"); for the others a published price holds, if there is one.
    prices: Mapping[str, Price] = field(default_factory=dict)

    def policy(self) -> CallPolicy:
        return CallPolicy(timeout_seconds=self.timeout_seconds, retries=self.retries, on_interrupt=self.on_interrupt)

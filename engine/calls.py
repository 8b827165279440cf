"""The seam between the engine and the providers: what a provider is asked, and what it answers.

The pool knows providers by this protocol alone. A provider is stateless towards jobs: it may be asked for many calls
at once, and a call is cancelled by cancelling the task that awaits `execute`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class OnInterrupt(StrEnum):
    """What becomes of a call whose outcome is unknown (a reset after sending, a kill, a shutdown)."""

    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a call has come; `total` is None where the provider does not know it."""

    done: int
    total: int | None = None
    #: What is counted: "tokens", "prompt tokens", "inputs", "percent".
    unit: str = "tokens"
    #: Text of the answer that has come since the last report.
    delta: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of one operation: the request as the client sent it, except for `model`."""

    job_id: str
    operation: str
    #: The model as the provider names it: without the provider's prefix.
    model: str
    request: dict[str, Any]
    #: Which upstream call of this job it is, from 1.
    number: int = 1
    #: W3C trace context for the upstream, as headers: `traceparent`, and `tracestate` if there is one.
    trace: Mapping[str, str] = field(default_factory=dict)
    #: Tells the job's watchers how far the call has come; cheap, and never raises.
    progress: Callable[[Progress], None] = field(default=lambda _progress: None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A provider's answer: the operation's result in its OpenAI shape, already rendered as a JSON object."""

    result: bytes
    #: The model that answered, where the provider says so.
    model: str | None = None
    #: Picodollars (1e-12 USD); None where unknown.
    cost: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallPolicy:
    """What the pool needs to know of a provider to run calls on it."""

    #: Seconds that one call may take.
    timeout_seconds: float = 600.0
    #: How often a call is tried again at the same provider before the next fallback.
    retries: int = 2
    #: None: as `[jobs] on_interrupt` says.
    on_interrupt: OnInterrupt | None = None


class Provider(Protocol):
    """Carries out operations. Made by `app.py` from a `[providers.NAME]` table; lives as long as the application."""

    @property
    def policy(self) -> CallPolicy: ...

    @property
    def lanes(self) -> Mapping[str, int]:
        """The lanes this provider's calls run in, with how many may run in each at once."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models it declares: these may be named without the provider's prefix."""

    def lane(self, operation: str, model: str) -> str:
        """The lane for this call: one of `lanes`."""

    def check(self, operation: str, model: str) -> str | None:
        """None if a call of this operation and model can be accepted, else why not, as a clause for a sentence
        ("has no operation embeddings", "has no model x; it has a, b")."""

    async def start(self) -> None:
        """Called once, in the application's loop, before the first call. Opens nothing that a call could open."""

    async def close(self) -> None:
        """Called once, after the last call has ended."""

    async def ping(self) -> str:
        """Asks the provider whether it is there, at no cost; what it said, in a few words for an operator.

        Raises `CallFailed` if it is not, or would not take our key. Called by `coatcheck check`, between `start` and
        `close`.
        """

    async def execute(self, call: Call) -> Reply:
        """Carries out one call.

        Raises `CallFailed` (or a subclass that says what may be done next); anything else is a fault of ours and
        fails the job with status 500. On cancellation the upstream connection is closed before this returns.
        """

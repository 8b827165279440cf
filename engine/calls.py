"""The seam between the engine and the providers: what a provider is asked, and what it answers.

The pool knows providers by this protocol alone. A provider is stateless towards jobs: it may be asked for many calls
at once, and a call is cancelled by cancelling the task that awaits `execute`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from .blobs import Blob, Incoming


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
class File:
    """A file of a request; there, and unchanged, until its job has ended."""

    #: As the client named it, without folders; may be empty.
    name: str
    #: As the client said; else what the name suggests; else application/octet-stream.
    media_type: str
    size_bytes: int
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What a call used, as the provider counted; None where it does not say."""

    #: All of them, those from a cache included.
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    #: Of those written to a cache, the ones that it keeps for an hour.
    long_cache_write_tokens: int | None = None
    #: All of them, reasoning included.
    output_tokens: int | None = None
    #: Parts of the two above.
    audio_input_tokens: int | None = None
    image_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None
    #: Of a text that was spoken.
    characters: int | None = None
    #: Of audio, heard or spoken.
    seconds: float | None = None
    images: int | None = None
    pages: int | None = None
    searches: int | None = None
    #: The rate that was charged, as the provider names it ("default", "flex", "priority").
    tier: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A model that a provider has."""

    #: As the provider names it.
    id: str
    #: Those it is known to be for; empty: the provider does not say.
    operations: tuple[str, ...] = ()
    #: What it is, said honestly; empty where there is nothing to add.
    about: str = ""
    #: SPDX identifier of its weights' licence; empty where it is not known.
    license: str = ""
    #: Seconds UTC; 0 where it is not known.
    created: int = 0
    #: In which it speaks, as the provider names them, the usual one first; empty where they are not known.
    voices: tuple[str, ...] = ()


async def _unsaved(_checkpoint: str | None) -> None:
    """For a call that no job stands behind."""


def _nowhere(media_type: str) -> AbstractAsyncContextManager[Incoming]:
    raise RuntimeError(f"there is no place for a file of the type {media_type}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call of one operation: the request as the client sent it, except for `model` and files."""

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
    #: The files of the request, by its field: "file", "image", "mask".
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)
    #: What an earlier attempt of this job saved at this provider and model: the call goes on from there.
    checkpoint: str | None = None
    #: Keeps the name of the job that the provider has begun for this call, durably before it returns; None forgets it.
    save: Callable[[str | None], Awaitable[None]] = _unsaved
    #: A new file of the result, by its media type: what is written is kept when its context ends without an error.
    new_file: Callable[[str], AbstractAsyncContextManager[Incoming]] = _nowhere
    #: Is told what the vendor answered, as it came, where somebody wants to see that; the last one counts.
    original: Callable[[bytes], None] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A provider's answer: the operation's result in its OpenAI shape, already rendered as a JSON object."""

    result: bytes
    #: The model that answered, where the provider says so.
    model: str | None = None
    #: Picodollars (1e-12 USD); None: to be worked out from `usage`.
    cost: int | None = None
    #: None where the provider does not say.
    usage: Usage | None = None
    #: The files that `result` names by their placeholders, in its order.
    files: tuple[Blob, ...] = ()
    #: What the vendor answered, as JSON, where the request wants that to be kept.
    original: bytes | None = None
    #: The call that was made in place of the one that was asked for, by which it is priced; None: that one itself.
    made: "Call | None" = None


#: What a call has cost, in picodollars, by its provider's name; None where it is not known.
Pricing = Callable[[str, Call, Reply], Awaitable[int | None]]


class Rate(NamedTuple):
    """What `quantity` units of something cost, in US dollars."""

    price: Decimal
    quantity: int
    #: "token", "char", "second", "minute", "image", "page" or "request".
    unit: str


#: What a provider's model costs, by what is counted ("input_tokens", "pages"): empty where nothing is charged, None
#: where it is not known.
Tariff = Callable[[str, str], Awaitable[Mapping[str, Rate] | None]]


async def unlisted(_provider: str, _model: str) -> Mapping[str, Rate] | None:
    return None


async def unpriced(_provider: str, _call: Call, reply: Reply) -> int | None:
    return reply.cost


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

    def default(self, operation: str) -> str | None:
        """The model that it takes for the operation where a client names none; None: one must be named."""

    async def start(self) -> None:
        """Called once, in the application's loop, before the first call. Opens nothing that a call could open."""

    async def close(self) -> None:
        """Called once, after the last call has ended."""

    async def ping(self) -> str:
        """Asks the provider whether it is there, at no cost; what it said, in a few words for an operator.

        Raises `CallFailed` if it is not, or would not take our key. Called by `coatcheck check`, between `start` and
        `close`.
        """

    async def offers(self) -> Sequence[Offer]:
        """Its models: asked of the vendor where that can be, else those it declares. Raises `CallFailed`."""

    async def execute(self, call: Call) -> Reply:
        """Carries out one call.

        Raises `CallFailed` (or a subclass that says what may be done next); anything else is a fault of ours and
        fails the job with status 500. On cancellation the upstream connection is closed before this returns.

        A provider whose vendor runs calls as jobs saves the vendor's id before it waits, and goes on waiting where
        `call.checkpoint` brings one. When such a job has ended without success it saves None before it raises: what
        follows is a new one. Cancelled, it leaves the job alone: see `Resumes`.
        """


@runtime_checkable
class Resumes(Protocol):
    """What a provider adds whose vendor runs calls as jobs."""

    async def abandon(self, call: Call) -> None:
        """The vendor's job `call.checkpoint` is no longer wanted: ends it, where the vendor lets it be ended."""

"""What a job is: its states, its arrows, and the values that travel along them.

            submit                claim                     finish
  (nothing) ──────► pending ─────────────► processing ──────────────► completed | failed
                    ▲  │                     │    │
                    │  └── cancel ──┐        │    └── cancel ──► cancelled
                    │              ▼        │
                    │          cancelled    │
                    └──── release ──────────┘
  any terminal state ── expires_at passes ──► gone

submit   the job is accepted: the row is committed before the client hears of it.
claim    an attempt begins: `attempt` grows, and with it the fence that every later write of the attempt names.
finish   the attempt's outcome is the job's outcome.
release  the attempt ends without an outcome and the job waits again: to be tried later, at the next provider, or
         because this process stops.
cancel   its owner no longer wants it; from pending or from processing.

Times are integer microseconds UTC, costs integer picodollars (1e-12 USD).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

from .blobs import Blob
from .calls import File
from .targets import Target, parse_targets

SECOND = 1_000_000


class State(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})


class Attached(NamedTuple):
    """A file that a job uses."""

    #: The request's field, or "result".
    role: str
    #: Among those of its role, from 0.
    place: int
    blob: Blob
    #: As the client named it, without folders; may be empty.
    file_name: str = ""


class Borrowed(NamedTuple):
    """An upload that a job uses as long as it is there, whatever becomes of the upload."""

    #: The request's field.
    role: str
    #: Among the files of its role, from 0.
    place: int
    #: The upload's id; it is the owner's of the job.
    upload: str


class Hook(NamedTuple):
    """Who is to be told of a job's end."""

    #: An endpoint of the configuration, by its name; or None.
    endpoint: str | None
    #: The address that the client gave; None where it named an endpoint.
    url: str | None
    #: What the client wants to get back, as JSON; or None.
    parameters: bytes | None = None


class Submission(NamedTuple):
    """All that the row of a new job is made from; a named tuple, since each submit makes one."""

    id: str
    dialect: str
    operation: str
    owner: str
    #: The model as the client named it.
    model: str
    #: Where the job may run, in order: the first is the client's choice, the rest its fallbacks.
    targets: tuple[Target, ...]
    #: The request, as JSON.
    request: bytes
    #: Seconds that the outcome is kept.
    ttl_seconds: int
    request_id: str
    created_at: int
    #: RFC 9218 urgency: 0 (first) to 7 (last), among the owner's own jobs.
    priority: int = 3
    #: When the job is cancelled if it has not ended; None: never.
    cancel_at: int | None = None
    #: The id of the job that this one repeats.
    parent: str | None = None
    #: The submit's trace context, as `trace.read` gives it.
    trace: str | None = None
    #: The files of the request; their roles are its fields.
    files: tuple[Attached, ...] = ()
    #: The seq of the job whose request's files are this one's too; None: of no other.
    files_of: int | None = None
    #: Its client waits for it on an open connection: the job does not outlive this process.
    attended: bool = False
    #: The uploads among the files of the request.
    borrowed: tuple[Borrowed, ...] = ()
    #: Who is to be told of its end; None: nobody.
    hook: Hook | None = None


class Job(NamedTuple):
    """One row of the job table, without its bodies; a named tuple, since each poll makes one."""

    #: Order of arrival; never given twice.
    seq: int
    #: UUIDv4, as the client knows it.
    id: str
    dialect: str
    operation: str
    owner: str
    state: State
    model: str
    targets: tuple[Target, ...]
    #: Index into `targets` of the one that runs, ran or is next.
    target: int
    lane: str
    priority: int
    #: How often it was claimed: the fence.
    attempt: int
    #: Upstream calls begun, over all attempts and providers.
    calls: int
    #: Attempts at the present target.
    tries: int
    request_id: str
    ttl_seconds: int
    created_at: int
    #: The first claim.
    claimed_at: int | None
    #: The claim of the present or last attempt; None while pending.
    started_at: int | None
    #: A pending job's earliest next claim; None: at once.
    run_at: int | None
    completed_at: int | None
    expires_at: int | None
    #: The outcome's HTTP status; None before the end.
    status_code: int | None
    #: The model that answered, where the provider said so.
    resolved_model: str | None
    #: Picodollars; None where unknown.
    cost: int | None
    #: When the job is cancelled if it has not ended; None: never.
    cancel_at: int | None = None
    #: The id of the job that this one repeats.
    parent: str | None = None
    #: The submit's trace context, as `trace.read` gives it.
    trace: str | None = None

    @classmethod
    def from_row(cls, row: Iterable[Any]) -> Self:
        """The job from a row of `COLUMNS`, in their order."""
        values = list(row)
        values[_STATE] = _STATES[values[_STATE]]
        values[_TARGETS] = parse_targets(values[_TARGETS])
        return cls._make(values)

    @property
    def at(self) -> Target:
        """The target that runs, ran or is next."""
        return self.targets[self.target]


_STATE, _TARGETS = Job._fields.index("state"), Job._fields.index("targets")
_STATES = {str(state): state for state in State}
#: The columns that `Job.from_row` takes, for SELECT and RETURNING.
COLUMNS = ", ".join(Job._fields)
#: The same, of a table that is joined under the name job.
JOB_COLUMNS = ", ".join(f"job.{name}" for name in Job._fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a job ends, but for a cancel.

    `body` is the result (an OpenAI-shaped object) or the failure (see `retries.describe`), rendered as JSON.
    """

    state: State
    status_code: int
    body: bytes
    resolved_model: str | None = None
    cost: int | None = None
    #: The files that `body` names by their placeholders, in its order.
    files: tuple[Blob, ...] = ()
    #: What the vendor answered, as JSON, where the request wants that to be kept.
    original: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """How an attempt ends without an outcome."""

    #: A word for the job's story: "retry", "fallback", "stopped".
    reason: str
    lane: str
    target: int
    tries: int
    #: Calls given back, since nothing was sent.
    refund: int = 0
    #: The earliest next claim; None: at once.
    run_at: int | None = None
    #: The failure that led here; None where nothing failed.
    failure: Mapping[str, Any] | None = None


class Ticket(NamedTuple):
    """A job with its outcome's body, as a client's poll reads it; `body` is None before the end."""

    job: Job
    body: bytes | None
    #: What the vendor answered, as JSON, where the request wanted that to be kept.
    original: bytes | None = None


class Checkpoint(NamedTuple):
    """What an attempt saved of the job that a provider has begun for it."""

    #: Index into the job's `targets`: it means something there alone.
    target: int
    value: str


class Work(NamedTuple):
    """What an attempt needs beside the job's row."""

    #: As JSON; None once it is gone.
    request: bytes | None
    #: The request's files, by its fields.
    files: Mapping[str, tuple[File, ...]]
    checkpoint: Checkpoint | None


class ResultFile(NamedTuple):
    """A file that a job uses, as it is kept."""

    blob: str
    media_type: str
    size_bytes: int
    place: int
    file_name: str
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One step of a job's story, as the store keeps it."""

    at: int
    kind: str
    attempt: int
    data: dict[str, Any]

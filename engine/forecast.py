"""Where a waiting job stands, and when it will probably start and end: by the recent pace of its lane."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .clock import Clock
from .jobs import SECOND, Job, Submission
from .lanes import Lane
from .store import Store
from .targets import Target

#: Of an owner's own jobs, so many are counted to say where one stands.
_MAX_AHEAD = 10_000


class Reason(StrEnum):
    """Why a job has not started."""

    #: Its next claim is for later: it was tried before.
    HELD = "held"
    #: All slots of its lane are taken, or others go first.
    LANE_FULL = "lane_full"
    #: Its owner has as many running as it may have.
    OWNER_LIMIT = "owner_limit"
    #: The server stops: the job goes on after its next start.
    STOPPING = "stopping"
    #: Nothing: it starts at once.
    NEXT = "next"


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    lane: str
    reason: Reason
    #: Its turn, from 1; None while it is held.
    position: int | None
    #: False: its turn is later than `position`.
    exact: bool
    #: Jobs that have a slot, and how many slots there are.
    running: int
    concurrency: int
    #: Microseconds UTC, estimated; None where there is no pace yet.
    starts_at: int | None


class Forecast:
    def __init__(
        self, lanes: Mapping[str, Lane], lane_of: Callable[[str, Target], str], store: Store, clock: Clock
    ) -> None:
        """`lane_of` names the lane of an operation at a target."""
        self._lanes = lanes
        self._lane_of = lane_of
        self._store = store
        self._clock = clock
        #: Nothing is claimed any more.
        self.stopping = False

    def seconds_left(self, job: Job) -> float | None:
        """About how long a job will take until it ends; None if that is not known."""
        lane = self._lanes.get(job.lane)
        if lane is None or (lane.pace.seconds is None and job.run_at is None):
            return None
        now, usual = self._clock.now(), lane.pace.seconds or 0
        if job.started_at is not None:
            return lane.pace.until_end((now - job.started_at) / SECOND)
        if job.run_at is not None:
            return max(job.run_at - now, 0) / SECOND + usual
        left = _from_now(lane, job.owner)
        # That is true of the owner's newest job. Of one that has waited for a while nobody counts on each poll how many
        # are ahead of it: it is asked for again when it has waited as long again.
        patience = max((now - job.created_at) / SECOND, usual)
        return None if left is None else min(left, patience)

    def seconds_for(self, submission: Submission) -> float | None:
        """The same of a job that was just taken."""
        lane = self._lanes.get(self._lane_of(submission.operation, submission.targets[0]))
        return None if lane is None or lane.pace.seconds is None else _from_now(lane, submission.owner)

    async def queue(self, job: Job) -> Queue | None:
        """Where a pending job stands; None if it has just moved on to a lane that is not open yet."""
        lane = self._lanes.get(job.lane)
        if lane is None:
            return None
        reason, position, starts_at, own = Reason.HELD, None, job.run_at, 0
        if job.run_at is None:
            own = await self._store.ahead(job, _MAX_AHEAD)
            ahead = lane.before(job.owner, own)
            position = ahead + 1
            wait = lane.until_start(ahead)
            starts_at = None if wait is None else self._clock.now() + int(wait * SECOND)
            reason = Reason.NEXT if ahead < lane.concurrency - lane.running else Reason.LANE_FULL
            if lane.at_limit(job.owner):
                reason, starts_at = Reason.OWNER_LIMIT, None
        if self.stopping:
            reason, starts_at = Reason.STOPPING, None
        return Queue(
            lane=lane.name,
            reason=reason,
            position=position,
            exact=own < _MAX_AHEAD and reason is not Reason.OWNER_LIMIT,
            running=lane.running,
            concurrency=lane.concurrency,
            starts_at=starts_at,
        )


def _from_now(lane: Lane, owner: str) -> float | None:
    wait = lane.until_start(lane.ahead(owner))
    return None if wait is None else wait + (lane.pace.seconds or 0)

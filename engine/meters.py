"""What is counted, for `/metrics` to read: plain numbers, since most of them change with every job.

A label's values are few: operations and providers of this server, our own words, statuses. Nothing that a client or an
upstream makes up is a label.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence

from .deliveries import DEAD, DELIVERED
from .errors import CallFailed
from .jobs import Job, Release, State, Submission

_ATTEMPTS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_WAITS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

#: Plain strings: an enumeration's members are hashed in Python, which takes longer than the counting.
_PENDING, _PROCESSING = str(State.PENDING), str(State.PROCESSING)


class Counter:
    """A number that only grows, for each set of labels."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self.values: defaultdict[tuple[str, ...], float] = defaultdict(int)
        if not labels:
            self.values[()] = 0

    def add(self, *labels: str, count: float = 1) -> None:
        self.values[labels] += count


class Gauge(Counter):
    """A number that comes and goes, for each set of labels."""


class Histogram:
    """How often a value was at most so much, for each set of labels."""

    def __init__(self, name: str, about: str, bounds: Sequence[float], *labels: str) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self.bounds = bounds
        #: One count a bucket, the last without bound; then the sum of the values.
        self.values: defaultdict[tuple[str, ...], list[float]] = defaultdict(self._nothing)
        if not labels:
            self.values[()] = self._nothing()

    def observe(self, value: float, *labels: str) -> None:
        series = self.values[labels]
        series[bisect_left(self.bounds, value)] += 1
        series[-1] += value

    def _nothing(self) -> list[float]:
        return [0] * (len(self.bounds) + 2)


class Meters:
    """The meters of one gateway. Its methods are called where the thing has happened: after the commit."""

    def __init__(self) -> None:
        self.jobs = Gauge("coatcheck_jobs", "Jobs that wait (held ones too) or run.", "state", "operation", "provider")
        self.submitted = Counter("coatcheck_jobs_submitted_total", "Jobs accepted.", "operation", "provider")
        self.finished = Counter("coatcheck_jobs_ended_total", "Jobs that have ended.", "state", "operation", "provider")
        self.released = Counter(
            "coatcheck_jobs_released_total", "Attempts after which the job waits again.", "reason", "provider"
        )
        self.swept = Counter("coatcheck_jobs_swept_total", "Jobs that have expired and were removed.")
        self.attempts = Histogram(
            "coatcheck_attempt_seconds", "Attempts, from the claim to the ending.", _ATTEMPTS, "operation", "provider"
        )
        self.failures = Counter("coatcheck_call_failures_total", "Calls that failed.", "provider", "status", "reason")
        self.deliveries = Counter("coatcheck_deliveries_total", "Attempts to tell receivers of ends.", "outcome")
        for outcome in (DELIVERED, "failed", DEAD):
            self.deliveries.add(outcome, count=0)
        self.commits = Histogram("coatcheck_commit_seconds", "Transactions, with their commit.", _WAITS)
        self.commit_items = Histogram("coatcheck_commit_items", "What was written in one transaction.", _ITEMS)
        self.reads = Histogram("coatcheck_read_seconds", "Reads that were made together.", _WAITS)
        self.read_items = Histogram("coatcheck_read_items", "What was read together.", _ITEMS)
        self.lag = Histogram("coatcheck_loop_lag_seconds", "How late the event loop wakes a task.", _WAITS)

    def __iter__(self) -> Iterator[Counter | Histogram]:
        return (meter for meter in vars(self).values() if isinstance(meter, Counter | Histogram))

    def accepted(self, submission: Submission) -> None:
        provider = submission.targets[0].provider
        self.submitted.values[submission.operation, provider] += 1
        self.jobs.values[_PENDING, submission.operation, provider] += 1

    def found(self, operation: str, provider: str, count: int) -> None:
        """So many jobs waited already when this process started."""
        self.jobs.values[_PENDING, operation, provider] += count

    def claimed(self, job: Job) -> None:
        provider = job.at.provider
        self.jobs.values[_PENDING, job.operation, provider] -= 1
        self.jobs.values[_PROCESSING, job.operation, provider] += 1

    def left(self, job: Job) -> None:
        """The job has left its slot."""
        self.jobs.values[_PROCESSING, job.operation, job.at.provider] -= 1

    def back(self, job: Job, release: Release) -> None:
        """The job waits again."""
        self.jobs.values[_PENDING, job.operation, job.targets[release.target].provider] += 1

    def gone(self, job: Job) -> None:
        """The job no longer waits, and was not claimed."""
        self.jobs.values[_PENDING, job.operation, job.at.provider] -= 1

    def ended(self, job: Job, state: State) -> None:
        self.finished.values[str(state), job.operation, job.at.provider] += 1

    def failed(self, job: Job, failure: CallFailed) -> None:
        # The class's own words: the failure's may be the upstream's.
        reason = type(failure).code or type(failure).type
        self.failures.values[job.at.provider, str(failure.status), reason] += 1

    def committed(self, seconds: float, items: int) -> None:
        self.commits.observe(seconds)
        self.commit_items.observe(items)

    def read(self, seconds: float, items: int) -> None:
        self.reads.observe(seconds)
        self.read_items.observe(items)
